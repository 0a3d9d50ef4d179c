"""A folder of exported files: written, checked against the run, then given its name."""

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jigsaw_shape
from jigsaw_shape.exporting import (
    onnx_file,
    orbax_folder,
    safetensors_file,
    stablehlo_file,
)
from jigsaw_shape.exporting.trained import INPUTS, Trained, to_metadata
from jigsaw_shape.system import onnx_session

FACTS, CARD = "export.json", "README.md"
SAFETENSORS, ONNX, ORBAX = "model.safetensors", "model.onnx", "orbax"
STABLEHLO = "model.stablehlo"
FORMATS = ("safetensors", "onnx", "stablehlo", "orbax")

TOLERANCE = 1e-5  # of an output's largest entry
_SEVERAL = 3  # images in a batch, where any number is allowed


class CheckError(RuntimeError):
    """An exported file does not do what the run's checkpoint does."""


@dataclasses.dataclass(frozen=True)
class Written:
    """A file or folder that was written and checked.

    Attributes:
      name: In the folder.
      n_bytes: Its size, of a folder that of all its files.
      difference: The largest difference of an output from the checkpoint's, over the
        output's largest entry; 0.0 where the arrays themselves are the same.
      time_s: What writing and checking took.
    """

    name: str
    n_bytes: int
    difference: float
    time_s: float


@dataclasses.dataclass(frozen=True)
class Options:
    """How files are written.

    Attributes:
      formats: Of `FORMATS`.
      input: A key of `INPUTS`: what programs, ONNX and StableHLO, take.
      batch_size: Of the StableHLO program for one batch size.
      names: The library whose names weights are written under; "" for the encoder's.
    """

    formats: Sequence[str] = FORMATS
    input: str = "uint8"
    batch_size: int = 1
    names: str = ""


def export(
    trained: Trained,
    out: Path,
    options: Options,
    *,
    about: Mapping[str, Any],
    card: Callable[[Sequence[Written], Mapping[str, Any]], str],
    on_file: Callable[[Written], None] = lambda written: None,
) -> list[Written]:
    """Writes a folder of files that do what the checkpoint does, or nothing.

    Args:
      trained: What is exported.
      out: The folder: new, or empty.
      options: See `Options`.
      about: More facts for `export.json` and the files' metadata, in JSON's types.
      card: Returns the model card's text of the files and the facts.
      on_file: Called with each file once it is checked.

    Raises:
      ValueError: The request cannot be carried out.
      CheckError: A file differs from the checkpoint; nothing is left.
    """
    out = out.absolute()
    check(out, options)
    library = safetensors_file.library_of(trained.encoder, options.names)
    facts = trained.facts() | {"input": options.input, "names": library} | dict(about)
    facts["jigsaw_shape"] = jigsaw_shape.__version__
    facts["jax"] = jax.__version__
    part = out.with_name(f".{out.name}.partial")
    shutil.rmtree(part, ignore_errors=True)  # of an export that was killed
    part.mkdir(parents=True)
    try:
        with jax.default_device(_cpu()):
            written = _write(trained, part, options, facts, on_file)
        (part / FACTS).write_text(json.dumps(facts, indent=2) + "\n")
        (part / CARD).write_text(card(written, facts))
        os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return written


def _cpu() -> jax.Device | None:
    """Returns the device that files are compared on; None where JAX has no CPU.

    Accelerators may multiply float32 in fewer bits, so that two right programs differ.
    """
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return None


def _write(
    trained: Trained,
    part: Path,
    options: Options,
    facts: Mapping[str, Any],
    on_file: Callable[[Written], None],
) -> list[Written]:
    """Writes and checks every file; see `export`."""
    checks = _Checks(trained, options)
    written = []
    for name, write, difference in _files(trained, options, facts, checks):
        since = time.perf_counter()
        path = part / name
        write(path)
        found = difference(path)
        if not found <= TOLERANCE:  # nan is not
            raise CheckError(
                f"{name} differs from the checkpoint by {found:.1e} of an output's "
                f"largest entry, {TOLERANCE:.0e} allowed; nothing was written"
            )
        size = _size(path)
        written.append(Written(name, size, found, time.perf_counter() - since))
        on_file(written[-1])
    return written


def check(out: Path, options: Options) -> None:
    """Refuses what cannot be written, before anything is computed.

    Raises:
      ValueError: Says what to change.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ValueError(f"--out is {out}, which is there already: name a new folder")
    unknown = [name for name in options.formats if name not in FORMATS]
    if unknown or not options.formats:
        raise ValueError(
            f"--format is {', '.join(options.formats)!r}: {', '.join(FORMATS)}, "
            "several with commas between, or all"
        )
    if options.input not in INPUTS:
        raise ValueError(f"--input is {options.input!r}: {', '.join(INPUTS)}")
    if options.batch_size < 1:
        raise ValueError(f"--batch-size is {options.batch_size}: 1 or more")
    if "onnx" in options.formats:
        onnx_file.refuse_missing("--format onnx")


def _files(trained: Trained, options: Options, facts, checks: "_Checks"):
    """Yields name, `write(path)` and `difference(path)` of each file."""
    program = {"shape": trained.shape, "dtype": INPUTS[options.input]}
    if "safetensors" in options.formats:
        yield (
            SAFETENSORS,
            lambda path: safetensors_file.write(path, trained, facts),
            lambda path: _array_difference(
                safetensors_file.read(path).tree(), trained.tree()
            ),
        )
    if "orbax" in options.formats:
        yield (
            ORBAX,
            lambda path: orbax_folder.write(path, trained.variables),
            lambda path: _array_difference(
                orbax_folder.read(path), dict(trained.variables)
            ),
        )
    if "onnx" in options.formats:
        yield (
            ONNX,
            lambda path: onnx_file.write(
                path,
                trained.function,
                metadata=to_metadata({**facts, onnx_session.NORMALIZES_INSIDE: True}),
                **program,
            ),
            lambda path: checks.difference(
                onnx_file.read(path, ["CPUExecutionProvider"])[0], (1, _SEVERAL)
            ),
        )
    if "stablehlo" in options.formats:
        for batch_size in (None, options.batch_size):
            size = f".batch{batch_size}" if batch_size else ""
            yield (
                STABLEHLO.replace(".", f"{size}.", 1),
                lambda path, batch_size=batch_size: stablehlo_file.write(
                    path, trained.function, batch_size=batch_size, **program
                ),
                lambda path, batch_size=batch_size: checks.difference(
                    stablehlo_file.read(path)[0],
                    (batch_size or _SEVERAL,),
                ),
            )


class _Checks:
    """Compares programs with the checkpoint on images that cover the range of pixels.

    The checkpoint's outputs are computed once: compiling a deep network takes longer
    than everything else here.
    """

    def __init__(self, trained: Trained, options: Options):
        n = max(_SEVERAL, options.batch_size)
        self._images = _images(n, trained.input_px, options.input)
        self._trained, self._ours = trained, None

    def difference(self, predict, batch_sizes: Sequence[int]) -> float:
        """Returns the largest of an output's differences over its largest entry."""
        if self._ours is None:
            outputs = jax.jit(self._trained.apply)(self._trained.tree(), self._images)
            self._ours = {name: np.asarray(array) for name, array in outputs.items()}
        found = []
        for n in batch_sizes:
            theirs = predict(self._images[:n])
            if theirs.keys() != self._ours.keys():
                raise CheckError(f"its outputs are {', '.join(theirs)}")
            found += [
                relative_difference(theirs[name], ours[:n])
                for name, ours in self._ours.items()
            ]
        return float(np.max(found))  # nan where there is one


def _images(n: int, size_px: int, kind: str) -> np.ndarray:
    """Returns noise on a gradient of light: [n, size_px, size_px, 3]."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-64, 65, (n, size_px, size_px, 3))
    light = np.linspace(0, 255, size_px)[:, None, None]
    pixels = np.clip(light + noise, 0, 255).astype(np.uint8)
    return pixels if kind == "uint8" else (pixels / 255).astype(np.float32)


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Returns the largest difference over the largest expected entry.

    Not a number where the shapes differ or an entry is none.
    """
    if found.shape != expected.shape:
        return float("nan")
    largest = np.abs(expected).max()
    difference = np.abs(found - expected).max()
    return float(difference / largest) if largest > 0 else float(difference)


def _array_difference(found: Mapping, expected: Mapping) -> float:
    """Returns 0.0 for the same trees of the same arrays, else nan."""
    if jax.tree.structure(found) != jax.tree.structure(expected):
        return float("nan")
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    same = all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)
    return 0.0 if same else float("nan")


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
