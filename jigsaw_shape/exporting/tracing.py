"""From a JAX function to an ONNX graph, primitive by primitive.

A function of images is traced for a batch of one. What does not depend on the images
is computed at once and becomes a constant; every other primitive becomes one or more
nodes by its rule in `primitives.RULES`. So an encoder needs no code of its own here: it
can be exported if all of its primitives have a rule.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import core

from jigsaw_shape.exporting import constants
from jigsaw_shape.exporting.graph import NCHW, NHWC, Graph, Tensor, Value
from jigsaw_shape.exporting.primitives import ANY_BATCH, REDUCTIONS, RULES
from jigsaw_shape.exporting.products import product_batches

INPUT = "images"  # the name of the graph's input

# The parameters in which primitives that only call others hold them.
_CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def trace(
    function: Callable[[jax.Array], Mapping[str, jax.Array]],
    shape: tuple[int, int, int],
    dtype: Any,
) -> Graph:
    """Returns the graph of a function of a batch of images.

    Args:
      function: Maps images [B, *shape] to named arrays [B, ...]; each image's part of
        them depends on that image alone.
      shape: H, W, C of an image.
      dtype: Of the images.

    Raises:
      ValueError: The function uses a primitive without a rule; names it.
    """
    images = jax.ShapeDtypeStruct((1, *shape), dtype)
    traced, outputs = jax.make_jaxpr(function, return_shape=True)(images)
    graph = Graph()
    name = graph.add("Transpose", INPUT, perm=list(NCHW))
    values = _Converter(graph).run(
        traced.jaxpr, traced.consts, [Tensor(name, images.shape)]
    )
    for output, value in zip(sorted(outputs), values, strict=True):
        if not isinstance(value, Tensor) or value.batch != 0:
            raise ValueError(f"the output {output!r} is not one of each image")
        if len(value.shape) == 4:
            name = graph.add("Transpose", value.name, perm=list(NHWC))
            value = Tensor(name, value.shape)
        graph.outputs[output] = value
    graph.prune()
    return graph


class _Converter:
    """Walks through a jaxpr; arrays are constants, `Tensor`s depend on the images."""

    def __init__(self, graph: Graph):
        self._graph = graph

    def run(self, jaxpr, consts, arguments: Sequence[Value]) -> list[Value]:
        """Returns the values of a jaxpr's outputs."""
        values = dict(zip(jaxpr.constvars, map(np.asarray, consts), strict=True))
        values |= zip(jaxpr.invars, arguments, strict=True)

        def read(atom):
            is_literal = isinstance(atom, core.Literal)
            return np.asarray(atom.val) if is_literal else values[atom]

        for equation in jaxpr.eqns:
            inputs = [read(atom) for atom in equation.invars]
            results = self._equation(equation, inputs)
            values |= zip(equation.outvars, results, strict=True)
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, equation, inputs: list[Value]) -> list[Value]:
        name, params = equation.primitive.name, equation.params
        if name == "platform_index":
            return [_default_branch(params["platforms"])]
        if name == "cond":
            index, *inputs = inputs
            if isinstance(index, Tensor):
                raise ValueError("a branch depends on the images: it has no ONNX form")
            return self._call(params["branches"][int(index)], inputs)
        is_call = name != "scan"  # whose body would see its inputs whole
        inner = next((params[key] for key in _CALLS if is_call and key in params), None)
        if inner is not None:
            return self._call(inner, inputs)
        outputs = [variable.aval for variable in equation.outvars]
        if not any(isinstance(value, Tensor) for value in inputs):
            return constants.compute(equation.primitive, inputs, params, outputs)
        if name not in RULES:
            raise ValueError(
                f"no ONNX form is known for JAX's {name!r}, which the encoder uses"
            )
        self._graph.scope = _scope(equation)
        shapes = [output.shape for output in outputs]
        batch = _batch_axis(name, inputs, params)
        if any(shape[batch : batch + 1] != (1,) for shape in shapes):
            raise ValueError(f"JAX's {name!r} mixes images")
        rule = RULES[name]
        if equation.primitive.multiple_results:
            names = rule(self._graph, inputs, params, shapes)
        else:
            names = [rule(self._graph, inputs, params, shapes[0])]
        return [
            Tensor(name, shape, batch)
            for name, shape in zip(names, shapes, strict=True)
        ]

    def _call(self, inner, inputs: list[Value]) -> list[Value]:
        if isinstance(inner, core.ClosedJaxpr):
            return self.run(inner.jaxpr, inner.consts, inputs)
        return self.run(inner, (), inputs)


def _batch_axis(name: str, inputs: Sequence[Value], params) -> int:
    """Returns the axis of the batch in a primitive's output.

    Raises:
      ValueError: No rule has it where it is.
    """
    if name == "dot_general":
        axes = product_batches(inputs, params["dimension_numbers"])
    else:
        axes = {value.batch for value in inputs if isinstance(value, Tensor)}
    if len(axes) == 1:
        (batch,) = axes
        dropped = params.get("dimensions" if name == "squeeze" else "axes", ())
        if name == "transpose":
            return params["permutation"].index(batch)
        if name == "broadcast_in_dim":
            return params["broadcast_dimensions"][batch]
        if name == "squeeze" or name in REDUCTIONS:
            if batch not in dropped:
                return batch - sum(axis < batch for axis in dropped)
        elif batch == 0 or name in ANY_BATCH or name == "dot_general":
            return batch
    raise ValueError(f"JAX's {name!r} mixes images, for which there is no ONNX form")


def _default_branch(platforms) -> np.ndarray:
    """Returns the index of the branch for all other platforms."""
    if None not in platforms:
        raise ValueError("a function for named platforms only cannot be exported")
    return np.asarray(platforms.index(None), np.int32)


def _scope(equation) -> str:
    """Returns the module's path in which an equation was traced, ending in a slash."""
    path = str(equation.source_info.name_stack)
    return f"{path}/" if path else ""
