"""Rewrites of a graph into fewer nodes with the same outputs.

BatchNorm at inference, a factor and an offset for each channel, is folded into the
weights of the convolution before it; ReLU6 becomes one node.
"""

from collections import Counter

import numpy as np

from jigsaw_shape.exporting.graph import Graph, Node

# What carries weights -> the axis of the weights [..] that the output's channels are.
_CHANNELS = {"Conv": 0, "MatMul": 1}


def simplify(graph: Graph) -> None:
    """Rewrites a graph in place."""
    for rewrite in (_fold_affine, _merge_relu6):
        _rewrite_pairs(graph, rewrite)
    graph.prune()


def _rewrite_pairs(graph: Graph, rewrite) -> None:
    """Applies `rewrite(graph, first, second)` to each node and its only reader.

    Where it returns true, the first node does the second one's work too.
    """
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses.update(output.name for output in graph.outputs.values())
    makers: dict[str, Node] = {}
    kept = []
    for node in graph.nodes:
        first = next((makers[name] for name in node.inputs if name in makers), None)
        single = first is not None and uses[first.output] == 1
        if single and rewrite(graph, first, node):
            del makers[first.output]
            first.output = node.output
            makers[first.output] = first
            continue
        makers[node.output] = node
        kept.append(node)
    graph.nodes = kept


def _fold_affine(graph: Graph, first: Node, second: Node) -> bool:
    """Conv or MatMul, then times or plus a constant for each channel."""
    if first.op not in _CHANNELS or second.op not in ("Mul", "Add"):
        return False
    if first.op == "MatMul" and second.op == "Add":  # a layer's bias stays beside it
        return False
    others = [name for name in second.inputs if name != first.output]
    if len(others) != 1 or others[0] not in graph.constants:
        return False
    weights = graph.constants[first.inputs[1]].astype(np.float64)
    n = weights.shape[_CHANNELS[first.op]]
    channel_axis = 1 if first.op == "Conv" else -1
    values = _by_channel(graph.constants[others[0]], n, channel_axis)
    if values is None:
        return False
    bias = np.zeros(n)
    if len(first.inputs) > 2:
        bias = graph.constants[first.inputs[2]].astype(np.float64)
    if second.op == "Mul":
        shape = [1] * weights.ndim
        shape[_CHANNELS[first.op]] = n
        weights, bias = weights * values.reshape(shape), bias * values
    else:
        bias = bias + values
    graph.scope = first.output.rpartition("/")[0] + "/"
    first.inputs[1] = graph.constant(weights.astype(np.float32))
    if len(first.inputs) > 2 or bias.any():
        first.inputs[2:] = [graph.constant(bias.astype(np.float32))]
    return True


def _by_channel(array: np.ndarray, n: int, axis: int) -> np.ndarray | None:
    """Returns a constant as one number a channel, float64 [n]; None where it is not."""
    if array.size == 1:
        return np.full(n, array.item(), np.float64)
    if array.size != n or array.shape[axis] != n:
        return None
    return array.reshape(n).astype(np.float64)


def _merge_relu6(graph: Graph, first: Node, second: Node) -> bool:
    """ReLU, then the minimum with a number."""
    if (first.op, second.op) != ("Relu", "Min"):
        return False
    others = [name for name in second.inputs if name != first.output]
    if len(others) != 1 or others[0] not in graph.constants:
        return False
    most = graph.constants[others[0]]
    if most.size != 1:
        return False
    first.op = "Clip"
    zero, most = np.float32(0), np.float32(most.item())
    first.inputs = [first.inputs[0], graph.constant(zero), graph.constant(most)]
    return True
