"""The form in ONNX, opset 17, of each JAX primitive that encoders use.

A rule gets the graph to add nodes to, the values, the primitive's parameters and the
output's shape, and returns the output's name. See `graph` for the two conventions.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jigsaw_shape.exporting import products
from jigsaw_shape.exporting.graph import (
    NCHW,
    NHWC,
    Graph,
    Rule,
    Tensor,
    graph_axes,
    to_graph_layout,
)

OPSET = 17
# TensorProto's numbers of the types that are cast to.
_TYPES = {"float32": 1, "uint8": 2, "int32": 6, "int64": 7, "bool": 9}


def _axis(axis: int, rank: int) -> int:
    """Returns the graph's axis for one of JAX's axes."""
    return graph_axes(rank).index(axis)


def _integers(graph: Graph, values: Sequence[int]) -> str:
    return graph.constant(np.asarray(values, np.int64))


def _elementwise(op: str, **attributes: Any) -> Rule:
    def rule(graph, values, params, shape):
        return graph.add(op, *graph.operands(values, shape), **attributes)

    return rule


def _maximum(graph: Graph, values, params, shape) -> str:
    for value, other in (values, values[::-1]):
        is_zero = not isinstance(other, Tensor) and not other.any()
        if is_zero and value.shape == shape:
            return graph.add("Relu", value.name)
    return graph.add("Max", *graph.operands(values, shape))


def _power(graph: Graph, values, params, shape) -> str:
    exponent = np.asarray(params["y"], np.float32)
    return graph.add("Pow", values[0].name, graph.constant(exponent))


def _square(graph: Graph, values, params, shape) -> str:
    name = values[0].name
    return graph.add("Mul", name, name)


def _rsqrt(graph: Graph, values, params, shape) -> str:
    return graph.add("Reciprocal", graph.add("Sqrt", values[0].name))


def _erfc(graph: Graph, values, params, shape) -> str:
    one = graph.constant(np.float32(1))
    return graph.add("Sub", one, graph.add("Erf", values[0].name))


def _select(graph: Graph, values, params, shape) -> str:
    which, *cases = graph.operands(values, shape)
    if len(cases) != 2:
        raise ValueError(f"a choice between {len(cases)} cases has no ONNX form here")
    return graph.add("Where", which, cases[1], cases[0])


def _same(graph: Graph, values, params, shape) -> str:
    return values[0].name


def _cast(graph: Graph, values, params, shape) -> str:
    dtype = np.dtype(params["new_dtype"]).name
    if dtype not in _TYPES:
        raise ValueError(f"a cast to {dtype} has no ONNX form here")
    return graph.add("Cast", values[0].name, to=_TYPES[dtype])


def _reduction(op: str) -> Rule:
    def rule(graph, values, params, shape):
        rank = len(values[0].shape)
        axes = sorted(_axis(axis, rank) for axis in params["axes"])
        if op == "ReduceSum":  # the one whose axes are an input in opset 17
            axes = _integers(graph, axes)
            name = graph.add(op, values[0].name, axes, keepdims=0)
        else:
            name = graph.add(op, values[0].name, axes=axes, keepdims=0)
        kept = [axis for axis in graph_axes(rank) if axis not in params["axes"]]
        wanted = [sorted(kept)[axis] for axis in graph_axes(len(shape))]
        if kept == wanted:
            return name
        return graph.add("Transpose", name, perm=[kept.index(axis) for axis in wanted])

    return rule


def _transpose(graph: Graph, values, params, shape) -> str:
    rank, permutation = len(shape), params["permutation"]
    if rank == 4:
        permutation = [NCHW.index(permutation[axis]) for axis in NCHW]
    if list(permutation) == list(range(rank)):
        return values[0].name
    return graph.add("Transpose", values[0].name, perm=list(permutation))


def _reshaped(graph: Graph, value: Tensor, shape: Sequence[int], batch: int = 0) -> str:
    """Returns a tensor reshaped, with the batch on axis `batch`."""
    name = value.name
    if len(value.shape) == 4 and _is_nontrivial(value.shape):
        name = graph.add("Transpose", name, perm=list(NHWC))
    moves = len(shape) == 4 and _is_nontrivial(shape)
    target = list(shape)
    target[batch] = -1
    if len(shape) == 4 and not moves:
        target = [target[axis] for axis in NCHW]
    name = graph.add("Reshape", name, _integers(graph, target))
    return graph.add("Transpose", name, perm=list(NCHW)) if moves else name


def _is_nontrivial(shape: Sequence[int]) -> bool:
    """Returns whether [B, H, W, C] and [B, C, H, W] differ in memory."""
    return shape[3] > 1 and shape[1] * shape[2] > 1


def _reshape(graph: Graph, values, params, shape) -> str:
    return _reshaped(graph, values[0], shape)


def _squeeze(graph: Graph, values, params, shape) -> str:
    batch = values[0].batch
    batch -= sum(axis < batch for axis in params["dimensions"])
    return _reshaped(graph, values[0], shape, batch)


def _broadcast(graph: Graph, values, params, shape) -> str:
    value, places = values[0], params["broadcast_dimensions"]
    narrow = [1] * len(shape)
    for axis, n in zip(places, value.shape, strict=True):
        narrow[axis] = n
    name = _reshaped(graph, value, narrow, places[value.batch])
    if narrow == list(shape):
        return name
    # An axis of 1 in the target, as the batch's is, is left as it comes.
    target = [shape[axis] for axis in graph_axes(len(shape))]
    return graph.add("Expand", name, _integers(graph, target))


def _cut(graph: Graph, value: Tensor, starts, ends, steps) -> str:
    rank = len(value.shape)
    cut = [
        axis
        for axis in range(rank)
        if (starts[axis], ends[axis], steps[axis]) != (0, value.shape[axis], 1)
    ]
    if value.batch in cut:
        raise ValueError("a slice cuts the batch")
    if not cut:
        return value.name
    return graph.add(
        "Slice",
        value.name,
        _integers(graph, [starts[axis] for axis in cut]),
        _integers(graph, [ends[axis] for axis in cut]),
        _integers(graph, [_axis(axis, rank) for axis in cut]),
        _integers(graph, [steps[axis] for axis in cut]),
    )


def _slice(graph: Graph, values, params, shape) -> str:
    steps = params["strides"] or (1,) * len(shape)
    return _cut(
        graph, values[0], params["start_indices"], params["limit_indices"], steps
    )


def _split(graph: Graph, values, params, shapes) -> list[str]:
    axis, names, start = params["axis"], [], 0
    for n in params["sizes"]:
        starts, ends = [0] * len(values[0].shape), list(values[0].shape)
        starts[axis], ends[axis] = start, start + n
        names.append(_cut(graph, values[0], starts, ends, [1] * len(starts)))
        start += n
    return names


def _pad(graph: Graph, values, params, shape) -> str:
    value, fill = values
    config = params["padding_config"]
    if any(min(low, high) < 0 or inner for low, high, inner in config):
        raise ValueError("a padding that cuts or dilates has no ONNX form here")
    order = graph_axes(len(shape))
    ends = [int(config[axis][side]) for side in (0, 1) for axis in order]
    return graph.add("Pad", value.name, _integers(graph, ends), graph.constant(fill))


def _concatenate(graph: Graph, values, params, shape) -> str:
    tensor = next(value for value in values if isinstance(value, Tensor))
    names = []
    for value in values:
        if isinstance(value, Tensor):
            names.append(value.name)
            continue
        # A constant, such as a class token, is the same for every image.
        batch = graph.add("Shape", tensor.name, start=0, end=1)
        array = to_graph_layout(value)
        rest = _integers(graph, array.shape[1:])
        target = graph.add("Concat", batch, rest, axis=0)
        names.append(graph.add("Expand", graph.constant(array), target))
    axis = _axis(params["dimension"], len(shape))
    return graph.add("Concat", *names, axis=axis)


_ELEMENTWISE = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "min": "Min",
    "neg": "Neg",
    "abs": "Abs",
    "exp": "Exp",
    "log": "Log",
    "pow": "Pow",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
    "erf": "Erf",
    "logistic": "Sigmoid",
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "lt": "Less",
    "le": "LessOrEqual",
    "eq": "Equal",
    "and": "And",
    "or": "Or",
}

REDUCTIONS = {
    "reduce_sum": "ReduceSum",
    "reduce_max": "ReduceMax",
    "reduce_min": "ReduceMin",
}

RULES: Mapping[str, Rule] = {
    **{name: _elementwise(op) for name, op in _ELEMENTWISE.items()},
    "max": _maximum,
    "integer_pow": _power,
    "square": _square,
    "rsqrt": _rsqrt,
    "erfc": _erfc,
    "select_n": _select,
    "copy": _same,
    "stop_gradient": _same,
    "convert_element_type": _cast,
    **{name: _reduction(op) for name, op in REDUCTIONS.items()},
    "transpose": _transpose,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "expand_dims": _reshape,
    "broadcast_in_dim": _broadcast,
    "slice": _slice,
    "split": _split,
    "pad": _pad,
    "concatenate": _concatenate,
    "conv_general_dilated": products.convolution,
    "dot_general": products.product,
    "reduce_window_max": functools.partial(products.pool, op="MaxPool"),
    "reduce_window_sum": functools.partial(products.pool, op="AveragePool"),
}

# The primitives that have the batch on whatever axis it comes; others on the first.
ANY_BATCH = frozenset(_ELEMENTWISE) | {
    *("max", "integer_pow", "square", "rsqrt", "erfc", "select_n", "copy"),
    *("stop_gradient", "convert_element_type", "slice", "split", "pad"),
}
