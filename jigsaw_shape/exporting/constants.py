"""Computes constants of a traced program with NumPy, so that nothing is compiled."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_ELEMENTWISE = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "and": np.logical_and,
    "or": np.logical_or,
}


def compute(
    primitive: Any, values: Sequence[np.ndarray], params: Mapping[str, Any], outputs
) -> list[np.ndarray]:
    """Returns the results of a primitive on arrays.

    Args:
      primitive: JAX's; JAX itself computes those that are not known here.
      values: Its arguments.
      params: Its parameters.
      outputs: Shape and dtype of each of its results.
    """
    name, output = primitive.name, outputs[0]
    if name in ("div", "and", "or") and not _is_exact(name, output.dtype):
        result = None  # of integers it rounds, or works on bits
    elif name in _ELEMENTWISE:
        result = _ELEMENTWISE[name](*values)
    elif name == "rsqrt":
        result = 1 / np.sqrt(values[0])
    elif name == "convert_element_type":
        result = values[0]
    elif name == "broadcast_in_dim":
        shape = [1] * len(output.shape)
        for axis, n in zip(
            params["broadcast_dimensions"], values[0].shape, strict=True
        ):
            shape[axis] = n
        result = np.broadcast_to(values[0].reshape(shape), output.shape)
    elif name in ("reshape", "squeeze", "expand_dims"):
        result = values[0].reshape(output.shape)
    elif name == "iota":
        shape = [1] * len(output.shape)
        shape[params["dimension"]] = -1
        count = np.arange(output.shape[params["dimension"]]).reshape(shape)
        result = np.broadcast_to(count, output.shape)
    elif name == "reduce_sum":
        result = values[0].sum(tuple(params["axes"]))
    elif name == "select_n" and len(values) == 3:
        result = np.where(values[0], values[2], values[1])
    else:
        result = None
    if result is not None:
        return [np.asarray(result, output.dtype)]
    results = primitive.bind(*values, **params)
    results = results if primitive.multiple_results else [results]
    return [np.asarray(result) for result in results]


def _is_exact(name: str, dtype: np.dtype) -> bool:
    return np.issubdtype(dtype, np.floating if name == "div" else np.bool_)
