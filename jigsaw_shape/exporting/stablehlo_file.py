"""Compiled-anywhere programs: StableHLO by `jax.export`, weights inside.

A file is read by the JAX that wrote it and later ones, for as long as JAX promises (six
months at the least); a program for any batch size needs a reader as new as its writer.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

PLATFORMS = ("cpu", "cuda", "tpu")


def write(
    path: Path,
    function: Callable[[jax.Array], Mapping[str, jax.Array]],
    *,
    shape: tuple[int, int, int],
    dtype: Any,
    batch_size: int | None,
    platforms: Sequence[str] = PLATFORMS,
) -> None:
    """Writes a function of images as a serialized program for several platforms.

    Args:
      path: The file.
      function: Maps images [B, *shape] to named arrays [B, ...].
      shape: H, W, C.
      dtype: Of the images: uint8 or float32.
      batch_size: B; None for any.
      platforms: Names of JAX's.
    """
    batch = export.symbolic_shape("b")[0] if batch_size is None else batch_size
    images = jax.ShapeDtypeStruct((batch, *shape), dtype)
    exported = export.export(jax.jit(function), platforms=platforms)(images)
    path.write_bytes(exported.serialize())


def read(
    path: Path,
) -> tuple[Callable[[np.ndarray], dict[str, np.ndarray]], jax.ShapeDtypeStruct]:
    """Returns a file's function of images, and their shape: a number or `b` images.

    Raises:
      ValueError: The file is damaged, or of a JAX that this one cannot read.
    """
    data = path.read_bytes()
    try:
        exported = export.deserialize(bytearray(data))
    except Exception as error:  # flatbuffers and MLIR raise nearly any kind
        message = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} cannot be read: {message}") from error
    if len(exported.in_avals) != 1 or exported.in_avals[0].ndim != 4:
        raise ValueError(f"{path} is not a program of images [batch, H, W, 3]")
    call = jax.jit(exported.call)

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        return {name: np.asarray(array) for name, array in call(images).items()}

    (images,) = exported.in_avals
    return predict, jax.ShapeDtypeStruct(images.shape, images.dtype)
