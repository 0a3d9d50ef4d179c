"""The rules of convolutions, matrix products and pools: see `primitives`."""

import math
from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np

from jigsaw_shape.exporting.graph import (
    NCHW,
    Graph,
    Tensor,
    Value,
    graph_axes,
    to_graph_layout,
)


def convolution(graph: Graph, values, params, shape) -> str:
    """Adds a Conv of images [B, H, W, C] with constant weights, grouped or not.

    Raises:
      ValueError: It has another layout, or its weights depend on the images.
    """
    image, kernel = values
    numbers = params["dimension_numbers"]
    layout = (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec)
    if layout != (NCHW, (3, 2, 0, 1), NCHW) or not isinstance(image, Tensor):
        raise ValueError(f"a convolution of layout {layout} has no ONNX form here")
    if isinstance(kernel, Tensor) or set(params["lhs_dilation"]) != {1}:
        raise ValueError("a convolution with computed weights has no ONNX form here")
    return graph.add(
        "Conv",
        image.name,
        graph.constant(kernel.transpose(3, 2, 0, 1)),
        kernel_shape=list(kernel.shape[:2]),
        strides=list(params["window_strides"]),
        dilations=list(params["rhs_dilation"]),
        pads=_pads(params["padding"]),
        group=params["feature_group_count"],
    )


def _pads(padding: Sequence[tuple[int, int]]) -> list[int]:
    return [low for low, _ in padding] + [high for _, high in padding]


def product(graph: Graph, values, params, shape) -> str:
    """Adds a product: a 1x1 Conv for pixels, a MatMul for rows, else an Einsum."""
    left, right = values
    (left_sum, right_sum), batches = params["dimension_numbers"]
    is_dense = (
        isinstance(left, Tensor)
        and not isinstance(right, Tensor)
        and right.ndim == 2
        and batches == ((), ())
        and (left_sum, right_sum) == ((len(left.shape) - 1,), (0,))
    )
    if is_dense and len(left.shape) == 4:  # a matrix for each pixel
        kernel = graph.constant(right.T[:, :, None, None])
        return graph.add("Conv", left.name, kernel, kernel_shape=[1, 1])
    if is_dense:
        return graph.add("MatMul", left.name, graph.constant(right))
    return _einsum(graph, values, params["dimension_numbers"], len(shape))


def product_batches(values: Sequence[Value], dimension_numbers) -> set[int]:
    """Returns the axis of each tensor's batch in a product; none if it is summed over.

    Args:
      values: Left and right.
      dimension_numbers: Of `dot_general`.
    """
    sums, batches = dimension_numbers
    places, n_before = set(), len(batches[0])
    for value, summed, shared in zip(values, sums, batches, strict=True):
        is_tensor = isinstance(value, Tensor)
        rank = len(value.shape)
        free = [axis for axis in range(rank) if axis not in (*summed, *shared)]
        if is_tensor and value.batch in shared:
            places.add(tuple(shared).index(value.batch))
        elif is_tensor and value.batch in free:
            places.add(n_before + free.index(value.batch))
        elif is_tensor:
            places.add(-1)
        n_before += len(free)
    return places - {-1}


def _einsum(graph: Graph, values, dimension_numbers, rank: int) -> str:
    sums, batches = dimension_numbers
    letters = iter(ascii_lowercase)
    subscripts = [["" for _ in value.shape] for value in values]
    for pairs in (zip(*batches, strict=True), zip(*sums, strict=True)):
        for pair in pairs:
            letter = next(letters)
            for axes, axis in zip(subscripts, pair, strict=True):
                axes[axis] = letter
    free = [[], []]
    for side, axes in enumerate(subscripts):
        for axis, letter in enumerate(axes):
            if not letter:
                axes[axis] = next(letters)
                free[side].append(axes[axis])
    out = [subscripts[0][axis] for axis in batches[0]] + free[0] + free[1]
    images = {
        axes[value.batch]
        for value, axes in zip(values, subscripts, strict=True)
        if isinstance(value, Tensor)
    }
    terms, names = [], []
    for value, axes in zip(values, subscripts, strict=True):
        if isinstance(value, Tensor):
            names.append(value.name)
        else:  # it has the batch of the trace, one image, where it has any
            ones = tuple(axis for axis, letter in enumerate(axes) if letter in images)
            value = value.squeeze(ones)
            axes = [letter for letter in axes if letter not in images]
            names.append(graph.constant(to_graph_layout(value)))
        terms.append(_in_graph_order(axes))
    equation = f"{','.join(terms)}->{_in_graph_order(out)}"
    return graph.add("Einsum", *names, equation=equation)


def _in_graph_order(letters: Sequence[str]) -> str:
    return "".join(letters[axis] for axis in graph_axes(len(letters)))


def pool(graph: Graph, values, params, shape, *, op: str) -> str:
    """Adds MaxPool, or the sums of windows: of pixels, or of neighbouring channels.

    Raises:
      ValueError: There is no such pool in ONNX.
    """
    window, strides = params["window_dimensions"], params["window_strides"]
    padding = params["padding"]
    dilations = set(params["base_dilation"]) | set(params["window_dilation"])
    spatial = len(shape) == 4 and window[::3] == (1, 1) and strides[::3] == (1, 1)
    if not spatial or dilations != {1}:
        return _pool_channels(graph, values[0], params, op)
    attributes = {
        "kernel_shape": list(window[1:3]),
        "strides": list(strides[1:3]),
        "pads": _pads(padding[1:3]),
    }
    if op == "MaxPool":
        return graph.add(op, values[0].name, **attributes)
    mean = graph.add(op, values[0].name, count_include_pad=1, **attributes)
    size = graph.constant(np.float32(math.prod(window)))
    return graph.add("Mul", mean, size)


def _pool_channels(graph: Graph, value: Tensor, params, op: str) -> str:
    """Returns sums over neighbouring channels: a product with a band of ones."""
    window, padding = params["window_dimensions"], params["padding"]
    low, high = padding[-1]
    n = value.shape[-1]
    over_channels = (
        op == "AveragePool"
        and len(value.shape) == 4
        and window[:3] == (1, 1, 1)
        and set(params["window_strides"]) == {1}
        and low + high == window[3] - 1
        and all(pair == (0, 0) for pair in padding[:3])
    )
    if not over_channels:
        raise ValueError(f"a window of {window} has no ONNX form here")
    distance = np.arange(n)[None, :] - np.arange(n)[:, None]  # of input from output
    band = ((distance >= -low) & (distance <= high)).astype(np.float32)
    kernel = graph.constant(band[:, :, None, None])
    return graph.add("Conv", value.name, kernel, kernel_shape=[1, 1])
