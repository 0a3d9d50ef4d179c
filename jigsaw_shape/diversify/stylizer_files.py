"""Stylizers as files: the shipped one, those that `stylize fit` writes, the public one.

A file of ours is an `.npz` of float16 arrays, `encoder/0/1/kernel` for the second layer
of the first stage, with the entry `about`, a JSON text: what it was trained on and how.
"""

import dataclasses
import hashlib
import importlib.resources
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jigsaw_shape.diversify import vgg_weights
from jigsaw_shape.diversify.adain import Pair, Stages
from jigsaw_shape.system import whole_files

SHIPPED = "shipped"
_PUBLIC = ("vgg_normalised.pth", "decoder.pth")  # of the PyTorch release of AdaIN


@dataclasses.dataclass(frozen=True)
class PairFile:
    """A stylizer and where it comes from.

    Attributes:
      pair: float32 NumPy arrays.
      digest: First 12 digits of the SHA-256 of its file or files.
      about: What the file says of its training; empty for the public one.
    """

    pair: Pair
    digest: str
    about: Mapping[str, Any]


def load_pair(name: str) -> PairFile:
    """Returns a stylizer.

    Args:
      name: `"shipped"`; an `.npz` file that `stylize fit` wrote; or a folder with
        `vgg_normalised.pth` and `decoder.pth`, the public PyTorch weights.

    Raises:
      ValueError: There is none of that name, or the file is not a stylizer.
    """
    if name == SHIPPED:
        path = importlib.resources.files("jigsaw_shape") / "assets" / "stylizer.npz"
        return _load_npz(Path(str(path)))
    path = Path(name)
    if path.is_dir():
        return _load_public(path)
    if path.suffix != ".npz" or not path.is_file():
        raise ValueError(
            f"stylizer {name!r}: allowed are '{SHIPPED}', an .npz file of `python -m "
            f"jigsaw_shape.stylize fit`, or a folder with {' and '.join(_PUBLIC)}"
        )
    return _load_npz(path)


def save_pair(path: Path, pair: Pair, about: Mapping[str, Any]) -> None:
    """Writes a stylizer in half precision, whole or not at all."""
    arrays = {"about": np.array(json.dumps(about, sort_keys=True))}
    for network, stages in pair._asdict().items():
        for i, layers in enumerate(stages):
            for j, layer in enumerate(layers):
                for leaf, array in layer.items():
                    name = f"{network}/{i}/{j}/{leaf}"
                    arrays[name] = np.asarray(array, np.float16)
    with whole_files.replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def mirrored(encoder: Stages) -> list[list[tuple[int, int]]]:
    """Returns the (channels in, channels out) of the decoder's layers by stage."""
    stages, following = [], 3
    for layers in encoder:
        widths = [following, *(layer["kernel"].shape[-1] for layer in layers)]
        stages.append(list(zip(widths[:0:-1], widths[-2::-1], strict=True)))
        following = widths[-1]
    return stages[::-1]


def _load_npz(path: Path) -> PairFile:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("about")))
        networks = {"encoder": {}, "decoder": {}}
        for name, array in arrays.items():
            network, i, j, leaf = name.split("/")
            layers = networks[network].setdefault(int(i), {})
            layers.setdefault(int(j), {})[leaf] = array.astype(np.float32)
        pair = Pair(**{network: _nested(s) for network, s in networks.items()})
        _check(pair)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a stylizer's file: {error}") from error
    return PairFile(pair, _digest(path), about)


def _nested(stages: Mapping[int, Mapping[int, dict]]) -> Stages:
    return tuple(
        tuple(stages[i][j] for j in range(len(stages[i]))) for i in range(len(stages))
    )


def _load_public(folder: Path) -> PairFile:
    missing = [name for name in _PUBLIC if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"stylizer {str(folder)!r} lacks {' and '.join(missing)}")
    paths = [folder / name for name in _PUBLIC]
    encoder = vgg_weights.read_vgg(paths[0])
    layers = [
        vgg_weights.layer(*pair) for pair in vgg_weights.torch_convolutions(paths[1])
    ]
    stages = []
    for stage in mirrored(encoder):
        stages.append(tuple(layers[: len(stage)]))
        layers = layers[len(stage) :]
    pair = Pair(encoder, tuple(stages))
    try:
        _check(pair)
    except ValueError as error:
        raise ValueError(f"{paths[1]} is not AdaIN's decoder: {error}") from error
    return PairFile(pair, _digest(*paths), {})


def _check(pair: Pair) -> None:
    """Raises a `ValueError` where the decoder does not mirror the encoder."""
    expected = [[(3, 3, *c) for c in stage] for stage in mirrored(pair.encoder)]
    found = [[layer["kernel"].shape for layer in stage] for stage in pair.decoder]
    if found != expected:
        raise ValueError(f"the decoder's kernels are {found}, expected {expected}")
    for layer in [layer for stages in pair for stage in stages for layer in stage]:
        if layer["bias"].shape != layer["kernel"].shape[-1:]:
            raise ValueError(f"a bias has the shape {list(layer['bias'].shape)}")
        if not all(np.isfinite(array).all() for array in layer.values()):
            raise ValueError("a weight is not a finite number")


def _digest(*paths: Path) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()[:12]
