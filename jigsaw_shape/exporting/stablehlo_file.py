"""StableHLO programs by `jax.export`, for several platforms, weights inside.

A file is read by the JAX that wrote it and later ones, for as long as JAX promises (six
months at the least); a program for any batch size needs a reader as new as its writer.
So there are two: for any batch size, and for one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from jigsaw_shape.exporting.format import (
    INPUTS,
    SEVERAL,
    Format,
    Options,
    Program,
    Reference,
    as_function,
)
from jigsaw_shape.models.network import Network

PLATFORMS = ("cpu", "cuda", "tpu")
_SUFFIX = ".stablehlo"
_ANY = f"model{_SUFFIX}"


def _files(options: Options) -> list[str]:
    return [_ANY, f"model.batch{options.batch_size}{_SUFFIX}"]


def write(
    path: Path, network: Network, facts: Mapping[str, Any], options: Options
) -> None:
    """Writes a network as a program for several platforms.

    Args:
      path: The file; one called `model.stablehlo` takes any number of images, any
        other `options.batch_size`.
      network: See `format.exportable`.
      facts: Not kept: the format has no place for them.
      options: See `Options`.
    """
    del facts
    batch = options.batch_size
    if path.name == _ANY:
        (batch,) = export.symbolic_shape("b")
    shape = (batch, network.input_px, network.input_px, 3)
    images = jax.ShapeDtypeStruct(shape, INPUTS[options.input])
    program = jax.jit(as_function(network))
    path.write_bytes(export.export(program, platforms=PLATFORMS)(images).serialize())


def read(path: Path) -> Program:
    """Returns a file's program.

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
    batch, input_px, *_ = images.shape
    fixed = batch if isinstance(batch, int) else None
    return Program(predict, fixed, input_px, images.dtype)


def _difference(path: Path, reference: Reference) -> float:
    program = read(path)
    return reference.program_difference(
        program.predict, (program.batch_size or SEVERAL,)
    )


FORMAT = Format(_files, write, _difference, read, _SUFFIX, is_program=True)
