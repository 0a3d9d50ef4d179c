"""A graph of ONNX nodes, before it becomes ONNX's own structure.

Two conventions keep the rules short. Arrays of four axes are [B, H, W, C] in JAX and
[B, C, H, W] here, as ONNX's convolutions want them; all others have their axes in JAX's
order. Whatever depends on the images has one axis for the batch, mostly the first: its
length is 1 in the trace and any in the graph.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

NCHW = (0, 3, 1, 2)
NHWC = (0, 2, 3, 1)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A value that depends on the images.

    Attributes:
      name: Of the graph.
      shape: As JAX has it, for a batch of one.
      batch: Which of JAX's axes the batch is.
    """

    name: str
    shape: tuple[int, ...]
    batch: int = 0


@dataclasses.dataclass
class Node:
    """An ONNX node of one output.

    Attributes:
      op: ONNX's name of the operator.
      inputs: Names of nodes' outputs, of constants, or of the graph's input.
      output: Its name.
      attributes: ONNX's, of Python's types.
    """

    op: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]


class Graph:
    """Nodes in an order in which they can be computed, and the constants they read.

    Attributes:
      nodes: See `Node`.
      constants: Arrays by name, in the graph's layout.
      outputs: The function's, by its names for them.
    """

    def __init__(self):
        """An empty graph."""
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self.outputs: dict[str, Tensor] = {}
        self.scope = ""  # of what is added next: the module's path
        self._numbers = itertools.count()

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node and returns its output's name."""
        output = f"{self.scope}{op}_{next(self._numbers)}"
        self.nodes.append(Node(op, list(inputs), output, attributes))
        return output

    def constant(self, array: np.ndarray) -> str:
        """Adds a constant, of the graph's layout, and returns its name."""
        name = f"{self.scope}constant_{next(self._numbers)}"
        self.constants[name] = np.ascontiguousarray(array)
        return name

    def operands(self, values: Sequence["Value"], shape: tuple[int, ...]) -> list[str]:
        """Returns the names of elementwise operands, constants added.

        Args:
          values: Of one rank, or scalars.
          shape: Of the result. Where a tensor has it, a constant's equal entries along
            an axis are taken together.
        """
        is_spanned = any(isinstance(v, Tensor) and v.shape == shape for v in values)
        names = []
        for value in values:
            if isinstance(value, Tensor):
                names.append(value.name)
            else:
                array = _smallest(value) if is_spanned else value
                names.append(self.constant(to_graph_layout(array)))
        return names

    def prune(self) -> None:
        """Removes the nodes and constants on which no output depends."""
        needed, kept = {output.name for output in self.outputs.values()}, []
        for node in reversed(self.nodes):
            if node.output in needed:
                kept.append(node)
                needed.update(node.inputs)
        self.nodes = kept[::-1]
        self.constants = {k: v for k, v in self.constants.items() if k in needed}


Value = Tensor | np.ndarray
# (graph, values, params, shape of the output) -> name of the output
Rule = Callable[[Graph, Sequence[Value], Mapping[str, Any], tuple[int, ...]], str]


def to_graph_layout(array: np.ndarray) -> np.ndarray:
    """Returns an array of JAX's axes with the graph's."""
    return array.transpose(graph_axes(array.ndim))


def _smallest(array: np.ndarray) -> np.ndarray:
    """Returns an array with each axis along which it is constant cut to length 1."""
    for axis, n in enumerate(array.shape):
        first = array.take([0], axis)
        if n > 1 and (array == first).all():
            array = first
    return array


def graph_axes(rank: int) -> Sequence[int]:
    """Returns, for each axis of the graph, which of JAX's axes it is."""
    return NCHW if rank == 4 else range(rank)
