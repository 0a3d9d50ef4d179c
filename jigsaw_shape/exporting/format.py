"""What an export format is: how a network becomes files, and how they are read back."""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jigsaw_shape.models.network import Network, make_network
from jigsaw_shape.pixels import resampling

INPUTS = {"uint8": np.uint8, "float": np.float32}  # what programs take
FACTS = "export.json"  # the facts of an export's folder
# Of an output's largest entry. On CPUs a network convolves by Winograd's tiles, its
# ONNX program as it is defined: they differ by 1e-5 now and then.
TOLERANCE = 5e-5
SEVERAL = 3  # images in a batch, where any number is allowed


@dataclasses.dataclass(frozen=True)
class Options:
    """How files are written.

    Attributes:
      formats: Names of formats.
      input: A key of `INPUTS`: what programs take.
      batch_size: Of a program for one batch size.
      names: The library whose names weights are written under; "" for the encoder's.
    """

    formats: Sequence[str]
    input: str = "uint8"
    batch_size: int = 1
    names: str = ""


@dataclasses.dataclass(frozen=True)
class Program:
    """A function of images in a file, weights inside.

    Attributes:
      predict: Maps [B, input_px, input_px, 3] to named arrays [B, ...].
      batch_size: B; None for any.
      input_px: The images' side.
      dtype: Of the images: uint8, or float32 in [0, 1].
    """

    predict: Callable[[np.ndarray], dict[str, np.ndarray]]
    batch_size: int | None
    input_px: int
    dtype: Any


class Reference:
    """The checkpoint's own answers, with which files are compared.

    They are computed once, on images that cover the range of pixels: compiling a deep
    network takes longer than everything else here.

    Attributes:
      network: What is exported.
    """

    def __init__(self, network: Network, options: Options):
        """Prepares the images; nothing is computed yet."""
        n = max(SEVERAL, options.batch_size)
        self._images = _images(n, network.input_px, options.input)
        self.network, self._outputs = network, None

    def program_difference(
        self, predict: Callable, batch_sizes: Sequence[int]
    ) -> float:
        """Returns the largest difference of an output over its largest entry."""
        if self._outputs is None:
            run = jax.jit(functools.partial(apply, self.network))
            outputs = run(self.network.variables, self._images)
            self._outputs = {name: np.asarray(array) for name, array in outputs.items()}
        found = []
        for n in batch_sizes:
            theirs = predict(self._images[:n])
            if theirs.keys() != self._outputs.keys():
                return float("nan")
            found += [
                relative_difference(theirs[name], ours[:n])
                for name, ours in self._outputs.items()
            ]
        return float(np.max(found))  # nan where there is one


@dataclasses.dataclass(frozen=True)
class Format:
    """An export format: one file of this room, and a line in `formats.FORMATS`.

    Attributes:
      files: `files(options)` returns the names of what it writes, files or folders.
      write: `write(path, network, facts, options)` writes one of them; `facts` are in
        JSON's types.
      difference: `difference(path, reference)` reads it back and returns how much it
        differs from the checkpoint: 0.0 for the same arrays; nan for others, or for
        outputs that are no numbers.
      read: `read(path)` returns what it holds, to be opened as a classifier.
      suffix: Of its files; "" of a folder.
      is_program: Whether `read` returns a `Program`, not a `Network`.
      refuse_missing: `refuse_missing(flag)` raises ValueError where a package that it
        needs is not installed.
    """

    files: Callable[[Options], Sequence[str]]
    write: Callable[[Path, Network, Mapping[str, Any], Options], None]
    difference: Callable[[Path, Reference], float]
    read: Callable[[Path], Network | Program]
    suffix: str
    is_program: bool = False
    refuse_missing: Callable[[str], None] = lambda flag: None


def background_of(facts: Mapping[str, Any]) -> str:
    """Returns on what background the network of an export was shown its images.

    Exports of runs from before `config.data.background` do not say it; those runs saw
    what files store.
    """
    return facts.get("background", "stored" if "dataset" in facts else "white")


def exportable(network: Network, input_px: int = 0) -> Network:
    """Returns encoder and class head alone, computed in float32.

    Args:
      network: Any.
      input_px: The side of the squares that are handed in; 0 for the network's own.
    """
    return make_network(
        network.encoder,
        network.encoder_variables,
        network.classifier,
        classes=network.classes,
        size_px=network.size_px,
        input_px=input_px or network.input_px,
        mean=network.module.mean,
        std=network.module.std,
    )


def apply(
    network: Network, variables: Mapping[str, Any], images: jax.Array
) -> dict[str, jax.Array]:
    """Returns `features` [B, F] and, with a class head, `logits` [B, n], float32.

    Args:
      network: See `exportable`.
      variables: Its own, as an argument, so that programs may take them as one.
      images: [B, input_px, input_px, 3], RGB: uint8, or float32 in [0, 1].
    """
    images = resampling.resize(images, network.size_px)
    outputs = network.module.apply(variables, images, train=False)
    renamed = {"features": outputs["features"]}
    if "classification" in outputs:
        renamed["logits"] = outputs["classification"]
    return renamed


def as_function(network: Network) -> Callable[[jax.Array], dict[str, jax.Array]]:
    """Returns `apply` of a network's variables, as constants of the program."""
    return lambda images: apply(network, network.variables, images)


def to_metadata(facts: Mapping[str, Any]) -> dict[str, str]:
    """Returns facts as strings, which is all that some formats keep: JSON each."""
    return {name: json.dumps(value) for name, value in facts.items()}


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Returns the largest difference over the largest expected entry.

    Not a number where the shapes differ or an entry is none.
    """
    if found.shape != expected.shape:
        return float("nan")
    largest = np.abs(expected).max()
    difference = np.abs(found - expected).max()
    return float(difference / largest) if largest > 0 else float(difference)


def array_difference(found: Mapping, expected: Mapping) -> float:
    """Returns 0.0 for the same trees of the same arrays, else nan."""
    if jax.tree.structure(found) != jax.tree.structure(expected):
        return float("nan")
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    same = all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)
    return 0.0 if same else float("nan")


def _images(n: int, size_px: int, kind: str) -> np.ndarray:
    """Returns noise on a gradient of light: [n, size_px, size_px, 3]."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-64, 65, (n, size_px, size_px, 3))
    light = np.linspace(0, 255, size_px)[:, None, None]
    pixels = np.clip(light + noise, 0, 255).astype(np.uint8)
    return pixels if kind == "uint8" else (pixels / 255).astype(np.float32)
