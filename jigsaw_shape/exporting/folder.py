"""Writes a folder of exported files and checks each against the network."""

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

import jigsaw_shape
from jigsaw_shape.exporting import safetensors_file
from jigsaw_shape.exporting.format import (
    FACTS,
    INPUTS,
    TOLERANCE,
    Options,
    Reference,
    exportable,
)
from jigsaw_shape.exporting.formats import FORMATS
from jigsaw_shape.models.network import Network

CARD = "README.md"


class CheckError(RuntimeError):
    """An exported file does not do what the checkpoint does."""


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


def export(
    network: Network,
    out: Path,
    options: Options,
    *,
    about: Mapping[str, Any],
    card: Callable[[Sequence[Written], Mapping[str, Any]], str],
    input_px: int = 0,
) -> list[Written]:
    """Writes a folder of files that do what the network does, or nothing.

    Args:
      network: What is exported: its encoder, and its class head if it has one.
      out: The folder: new, or empty.
      options: See `Options`.
      about: More facts for `export.json` and the files' metadata, in JSON's types.
      card: Returns the model card's text of the files and the facts.
      input_px: The side of the squares that programs take; 0: the network's.

    Raises:
      ValueError: The request cannot be carried out.
      CheckError: A file differs from the checkpoint; nothing is left.
    """
    out = out.absolute()
    check(out, options)
    network = exportable(network, input_px)
    library = safetensors_file.library_of(network.encoder, options.names)
    facts = network.facts() | {"input": options.input, "names": library} | dict(about)
    facts["jigsaw_shape"] = jigsaw_shape.__version__
    facts["jax"] = jax.__version__
    part = out.with_name(f".{out.name}.partial")
    shutil.rmtree(part, ignore_errors=True)  # left by an export that was killed
    part.mkdir(parents=True)
    try:
        with jax.default_device(_cpu()):
            written = _write(network, part, options, facts)
        (part / FACTS).write_text(json.dumps(facts, indent=2) + "\n")
        (part / CARD).write_text(card(written, facts))
        os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return written


def check(out: Path, options: Options) -> None:
    """Refuses what cannot be written, before anything is computed.

    Raises:
      ValueError: Says what to change.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ValueError(f"--out is {out}, which exists already: name a new folder")
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
    for name in options.formats:
        FORMATS[name].refuse_missing(f"--format {name}")


def _cpu() -> jax.Device | None:
    """Returns the device that files are compared on; None where JAX has no CPU.

    Accelerators may multiply float32 in fewer bits, so that two right programs differ.
    """
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return None


def _write(
    network: Network, part: Path, options: Options, facts: Mapping[str, Any]
) -> list[Written]:
    """Writes and checks every file; see `export`."""
    reference, written = Reference(network, options), []
    for chosen in (FORMATS[name] for name in FORMATS if name in options.formats):
        for name in chosen.files(options):
            since = time.perf_counter()
            chosen.write(part / name, network, facts, options)
            found = chosen.difference(part / name, reference)
            if not found <= TOLERANCE:  # nan is not
                raise CheckError(
                    f"{name} differs from the checkpoint by {found:.1e} of an output's "
                    f"largest entry, {TOLERANCE:.0e} allowed; nothing was written"
                )
            time_s = time.perf_counter() - since
            written.append(Written(name, _size(part / name), found, time_s))
    return written


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
