"""The one way to open a network that answers images, whatever it is kept in."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jigsaw_shape.classifiers import of_onnx, of_published, of_run
from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.imagenet_labels import in_categories
from jigsaw_shape.classifiers.of_network import of_network
from jigsaw_shape.classifiers.of_onnx import AS_STATED, Pixels
from jigsaw_shape.classifiers.of_program import of_program
from jigsaw_shape.exporting.format import FACTS, Format, Options, background_of
from jigsaw_shape.exporting.formats import FORMATS
from jigsaw_shape.measures import imagenet16
from jigsaw_shape.models.weights.locate import shipped
from jigsaw_shape.models.weights.weight_files import read_weight_file
from jigsaw_shape.runs import directory
from jigsaw_shape.runs.file_names import CONFIG
from jigsaw_shape.system import buckets


def open_classifier(
    what: str | pathlib.Path,
    *,
    selection: str = "val",
    name: str = "",
    batch_size: int = 64,
    encoder: str = "",
    size_px: int = 0,
    classes: Sequence[str] = (),
    categories: bool = True,
    pixels: Pixels = AS_STATED,
    flag: str = "--model",
) -> Classifier:
    """Returns the classifier that `what` names, which is only read.

    Args:
      what: A training run's directory; a folder of `python -m jigsaw_shape.export`, or
        one of its files; an ONNX file of any framework; an encoder that comes with this
        package (`locate.shipped`), before a file of its name; or published weights, as
        `pretrained:efficientnet_lite0`, `torchvision:resnet50.IMAGENET1K_V1`,
        `timm:tf_efficientnet_lite0.in1k`, `hub:OWNER/REPOSITORY`, a file of weights.
      selection: Which of a run's checkpoints, a rule of `rows.RULES`.
      name: For rows and figures; "" for one made from `what`.
      batch_size: Images a call; rounded up to a multiple of the devices. A program for
        one batch size has its own.
      encoder: A name in `ENCODERS`, for published weights whose name does not say it.
      size_px: The side of the squares that published weights see; 0: 224.
      classes: Names of the scores of an ONNX file or of published weights; empty: the
        file's own.
      categories: Whether ImageNet's 1,000 scores, of all but runs, become the 16
        categories of `measures.imagenet16`. Scores that `classes` names do not.
      pixels: How an ONNX file's pixels are normalized, where it does not say.
      flag: By which the user named it, for messages.

    Raises:
      ValueError: It means nothing, cannot be read, or does not take one of the options.
      OSError: A file cannot be read.
    """
    if batch_size < 1:
        raise ValueError(f"--batch-size is {batch_size}: 1 or more")
    if size_px < 0:
        raise ValueError(f"--size is {size_px}: 1 or more, or 0 for the model's own")
    what = buckets.here(str(what))
    path = pathlib.Path(what)
    categories = categories and not classes
    is_run, is_export = _is_run(path), _is_export(path)
    known = shipped()
    if is_published(what, encoder):
        if not encoder and ":" not in what and what not in known:
            names = ", ".join([*known, "pretrained:efficientnet_lite0"])
            raise ValueError(
                f"{flag} is {what!r}: no such run, export or file, and no published "
                f"weights such as {names}"
            )
        return of_published.open_published(
            what,
            name=name or what,
            batch_size=batch_size,
            flag=flag,
            encoder=encoder,
            size_px=size_px,
            classes=classes,
            categories=categories,
        )
    path = _file_meant(path, flag)
    options = {"--encoder": encoder, "--size": size_px}
    options["--classes"] = "" if _is_onnx(path) else ", ".join(classes[:2])
    for option, value in options.items():
        if value:
            raise ValueError(
                f"{option} is {value}, but {what} has its own: leave it out"
            )
    if is_run or ((path / CONFIG).is_file() and not is_export):
        name = name or path.resolve().name
        return of_run.open_run(
            path, selection=selection, name=name, batch_size=batch_size
        )
    found = _format_of(path)
    if found is None or (path.is_dir() and not is_export):
        suffixes = ", ".join(one.suffix for one in FORMATS.values() if one.suffix)
        raise ValueError(
            f"{flag} is {what!r}, which is no run (no config.json), no export (no "
            f"{FACTS}) and no file {suffixes}. For other weights name their --encoder"
        )
    if _is_onnx(path):
        return of_onnx.open_onnx(
            path,
            name=name or path.stem,
            batch_size=batch_size,
            classes=classes,
            categories=categories,
            pixels=pixels,
            flag=flag,
        )
    held, named = found.read(path), {"name": name or what, "batch_size": batch_size}
    if found.is_program:
        opened = of_program(path, held, **named)
    else:
        facts = _facts(path)
        about = {
            "weights": path.name,
            "encoder": held.encoder,
            "image_size": held.size_px,
            **{key: facts[key] for key in directory.KNOWLEDGE if key in facts},
        }
        background = background_of(facts)
        opened = of_network(held, about=about, background=background, **named)
    is_imagenet = len(opened.classes) == imagenet16.N_CLASSES
    return in_categories(opened) if is_imagenet and categories else opened


def is_published(what: str, encoder: str = "") -> bool:
    """Returns whether `open_classifier` takes a name for published weights.

    These alone take an `encoder` and a `size_px`. A file of weights is one where its
    encoder is named.
    """
    path = pathlib.Path(what)
    if what in shipped() or not path.exists():
        return True
    is_own = _is_run(path) or _is_export(path) or _is_onnx(path)
    return bool(encoder) and not is_own


def takes_classes(what: str, encoder: str = "") -> bool:
    """Returns whether `open_classifier` takes names of this one's scores."""
    path = _file_meant(pathlib.Path(what), "--model")
    return is_published(what, encoder) or _is_onnx(path)


def _is_onnx(path: pathlib.Path) -> bool:
    return path.suffix == FORMATS["onnx"].suffix


def _is_run(path: pathlib.Path) -> bool:
    return (path / "checkpoints").is_dir()


def _is_export(path: pathlib.Path) -> bool:
    return any((folder / FACTS).is_file() for folder in (path, path.parent))


def _facts(path: pathlib.Path) -> Mapping[str, Any]:
    """Returns what an export says of its weights."""
    beside = path.parent / FACTS
    if beside.is_file():
        return json.loads(beside.read_text())
    return read_weight_file(path).facts


def _file_meant(path: pathlib.Path, flag: str) -> pathlib.Path:
    """Returns what to open of an export's folder; any other path is what it is.

    Weights before programs, and these before Orbax's, which have no class head.
    """
    if not (path / FACTS).is_file() or _is_run(path):
        return path
    headless = FORMATS["orbax"]
    for one in sorted(FORMATS.values(), key=lambda f: (f is headless, f.is_program)):
        file = path / one.files(Options(()))[0]
        if file.exists():
            return file
    raise ValueError(f"{flag} is {path}, an export without a file of weights")


def _format_of(path: pathlib.Path) -> Format | None:
    suffix = "" if path.is_dir() else path.suffix
    found = (one for one in FORMATS.values() if one.suffix == suffix)
    return next(found, None) if suffix or path.is_dir() else None
