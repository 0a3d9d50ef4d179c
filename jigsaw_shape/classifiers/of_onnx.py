"""Any framework's classifier, as an ONNX file. Needs the extra `[onnx]`."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.imagenet_labels import in_categories, wordnet_ids
from jigsaw_shape.classifiers.of_program import as_pixels, file_digest
from jigsaw_shape.exporting.format import background_of
from jigsaw_shape.measures import imagenet16
from jigsaw_shape.system import onnx_session

_DEFAULT_PX = 224
_OUR_OWN = "jigsaw_shape"  # producer, and a key of the metadata, of our own files
INSIDE = "inside the file"  # what rows say of their normalization
_KINDS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
_OUTPUTS = ("logits", "classification")  # names preferred among several outputs
_KEYS = (  # of the metadata, that are read; each is JSON
    *("mean", "std", "classes", "image_size", "input_px", "background"),
    onnx_session.NORMALIZES_INSIDE,
)
_FEATURES = "features"  # an output of that name, [B, F], is the pooled features


@dataclasses.dataclass(frozen=True)
class Pixels:
    """What a network wants its pixels to be; None: what the file says.

    Attributes:
      mean: What is subtracted from RGB, a channel.
      std: What the difference is divided by, a channel.
      scale: The largest pixel before that: 1 or 255.
    """

    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    scale: float | None = None


AS_STATED = Pixels()


def open_onnx(
    path: pathlib.Path,
    *,
    name: str,
    batch_size: int,
    classes: Sequence[str] = (),
    categories: bool = True,
    pixels: Pixels = AS_STATED,
    flag: str = "--model",
) -> Classifier:
    """Returns the classifier of an ONNX file.

    Its input is [B, 3, H, W] or [B, H, W, 3]. uint8 input is RGB in 0..255. Floats are
    normalized with `pixels`, or with the file's metadata `mean` and `std` (JSON lists,
    for pixels in [0, 1]); where the metadata say `normalizes_inside`, as this project's
    do, they stay in [0, 1]. The scores, logits or probabilities, are the output
    `logits` or `classification`, else the only output [B, n]. An output `features`,
    [B, F], is kept beside them.

    Args:
      path: The file.
      name: For rows.
      batch_size: Images a call, where the file leaves that open.
      classes: Names of its scores; empty: the file's metadata `classes`, a JSON list;
        ImageNet's 1,000 and the 16 categories need no names.
      categories: Whether 1,000 scores become the 16 categories.
      pixels: Overrides the file's metadata.
      flag: By which the user named it, for messages.

    Raises:
      ValueError: onnxruntime is missing, the file is none that it loads, or it does not
        say what is needed; names the file and what was expected.
    """
    onnx_session.refuse_missing(f"{flag} {path}", "onnxruntime")
    if not path.is_file():
        raise ValueError(f"{flag} {path}: no such file")
    session = onnx_session.open_session(path)
    facts = _metadata(path, session)
    entry = _Entry(path, session, facts, pixels)
    names, matrices = {}, _matrices(session)
    if set(matrices) == {_FEATURES}:  # an encoder without a classifier
        classes = ()
    else:
        output, n_scores = _output(path, session)
        names[output] = "classification"
        classes = _classes(path, n_scores, tuple(classes), facts)
    if _FEATURES in matrices:
        names.setdefault(_FEATURES, _FEATURES)

    def predict(images, orders=None):
        del orders  # there is no puzzle
        shown = entry.prepare(images)
        answers = [
            session.run(list(names), {entry.name: part}) for part in entry.parts(shown)
        ]
        joined = (np.concatenate(parts) for parts in zip(*answers, strict=True))
        return {
            head: array[: len(images)].astype(np.float32)
            for head, array in zip(names.values(), joined, strict=True)
        }

    opened = Classifier(
        name=name,
        classes=classes,
        size_px=entry.size_px,
        batch_size=batch_size,
        predict=predict,
        has_features=_FEATURES in names,
        background=background_of(facts),
        digest=file_digest(path),
        about={"weights": path.name, "image_size": entry.size_px, **entry.about()},
    )
    is_imagenet = len(classes) == imagenet16.N_CLASSES
    return in_categories(opened) if is_imagenet and categories else opened


class _Entry:
    """A session's input: how images get into it."""

    def __init__(self, path, session, facts, pixels: Pixels):
        wanted = "one input [B, 3, H, W] or [B, H, W, 3] of squares, float or uint8"
        inputs = session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(one.name for one in inputs)
            raise ValueError(f"{path} has the inputs {names}: expected {wanted}")
        self.name, shape, kind = inputs[0].name, inputs[0].shape, inputs[0].type
        self._channels_first = len(shape) == 4 and shape[1] == 3
        sides = shape[2:4] if self._channels_first else shape[1:3]
        fixed = {side for side in sides if isinstance(side, int)}
        if (
            len(shape) != 4
            or kind not in _KINDS
            or not (self._channels_first or shape[3] == 3)
            or len(fixed) > 1
        ):
            raise ValueError(
                f"{path}: its input {self.name} is {kind} {shape}, expected {wanted}"
            )
        self.size_px = fixed.pop() if fixed else _side(path, facts)
        self._fixed_batch = shape[0] if isinstance(shape[0], int) else None
        self._kind = _KINDS[kind]
        self._mean, self._std, self._scale = None, None, 1
        if (pixels.mean is None) != (pixels.std is None):
            raise ValueError("give both --mean and --std, or neither")
        # --mean and --std may be for other files than one that normalizes inside.
        if self._kind != np.uint8 and not _normalizes_inside(session, facts):
            self._normalize(path, facts, pixels)

    def _normalize(self, path, facts, pixels: Pixels) -> None:
        stated = {"mean": facts.get("mean"), "std": facts.get("std")}
        named = {"mean": pixels.mean, "std": pixels.std}
        values = stated if pixels.mean is None else named
        if None in values.values():
            raise ValueError(
                f"{path} does not say how its pixels are normalized (metadata mean and "
                "std): give --mean R,G,B and --std R,G,B"
            )
        mean, std = (_triple(path, name, value) for name, value in values.items())
        if not (std > 0).all():
            raise ValueError(f"{path}: std is {std.tolist()}, expected above 0")
        self._scale = pixels.scale or 1
        if values is stated:  # of pixels in [0, 1]
            mean, std = mean * self._scale, std * self._scale
        self._mean, self._std = mean, std

    def prepare(self, images) -> np.ndarray:
        """Returns pixels as the network wants them, of uint8 or float32 images."""
        is_uint8 = self._kind == np.uint8
        shown = as_pixels(images, self.size_px, np.uint8 if is_uint8 else np.float32)
        if not is_uint8:
            shown = shown * self._scale
        if self._mean is not None:
            shown = (shown - self._mean) / self._std
        if self._channels_first:
            shown = shown.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(shown, self._kind)

    def parts(self, shown):
        """Yields calls' worth of images, padded where the file fixes their number."""
        n = self._fixed_batch or len(shown)
        for start in range(0, len(shown), n):
            part = shown[start : start + n]
            yield part if len(part) == n else np.resize(part, (n, *part.shape[1:]))

    def about(self) -> dict[str, str]:
        """Returns what rows say of the normalization."""
        if self._mean is None:
            return {"normalization": INSIDE}
        mean, std = (
            "(" + ", ".join(f"{value:g}" for value in values) + ")"
            for values in (self._mean, self._std)
        )
        return {"normalization": f"mean {mean}, std {std} on 0..{self._scale:g}"}


def _side(path, facts) -> int:
    """Returns the side of the squares that a file of any size is shown."""
    for key in ("input_px", "image_size"):
        side = facts.get(key)
        if side is not None and (not isinstance(side, int) or side < 1):
            raise ValueError(
                f"{path}: its metadata {key} is {side!r}, expected a whole number, "
                "the side of its squares"
            )
    return facts.get("input_px") or facts.get("image_size") or _DEFAULT_PX


def _triple(path, what, values) -> np.ndarray:
    """Returns one finite number, or three, of a file's metadata or the flags."""
    try:
        numbers = np.asarray(values, np.float32).ravel()
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if len(numbers) not in (1, 3) or not np.isfinite(numbers).all():
        raise ValueError(f"{path}: {what} is {values!r}, expected three finite numbers")
    return numbers


def _normalizes_inside(session, facts) -> bool:
    """Returns whether the program normalizes its pixels; tools keep what says so.

    Our own files from before that key say it by their producer, which tools replace, or
    by the version that wrote them, which they keep.
    """
    stated = facts.get(onnx_session.NORMALIZES_INSIDE)
    if stated is not None:
        return stated is True
    meta = session.get_modelmeta()
    return _OUR_OWN in (meta.producer_name, *meta.custom_metadata_map)


def _metadata(path, session) -> dict:
    facts, stated = {}, session.get_modelmeta().custom_metadata_map
    keys = (*_KEYS, *(("dataset",) if _OUR_OWN in stated else ()))
    for key, text in stated.items():
        if key in keys:
            try:
                facts[key] = json.loads(text)
            except ValueError as error:
                raise ValueError(
                    f"{path}: its metadata {key} is {text!r}, expected JSON"
                ) from error
    return facts


def _matrices(session) -> dict[str, list]:
    """Returns the shapes of the outputs [B, n] by name."""
    return {o.name: o.shape for o in session.get_outputs() if len(o.shape) == 2}


def _output(path, session) -> tuple[str, int | None]:
    """Returns the output's name and its number of scores, None where that is open."""
    outputs = _matrices(session)
    if len(outputs) == 2:  # one of which is no scores
        outputs.pop(_FEATURES, None)
    named = [name for name in _OUTPUTS if name in outputs]
    if not named and len(outputs) != 1:
        shapes = ", ".join(f"{o.name} {o.shape}" for o in session.get_outputs())
        raise ValueError(
            f"{path} has the outputs {shapes}: expected one of scores [B, n], or one "
            f"called {' or '.join(_OUTPUTS)}"
        )
    name = named[0] if named else next(iter(outputs))
    n_scores = outputs[name][1]
    return name, n_scores if isinstance(n_scores, int) else None


def _classes(path, n_scores, named, facts) -> tuple[str, ...]:
    """Returns the names of a file's scores."""
    stated = facts.get("classes") or []
    if not isinstance(stated, list) or not all(isinstance(c, str) for c in stated):
        raise ValueError(
            f"{path}: its metadata classes is {stated!r}, expected a list of names"
        )
    classes = named or tuple(stated)
    if not classes and n_scores in (None, imagenet16.N_CLASSES):
        return wordnet_ids()
    if not classes and n_scores == len(imagenet16.CATEGORIES):
        return imagenet16.CATEGORIES
    if n_scores not in (None, len(classes)):
        raise ValueError(
            f"{path} answers with {n_scores} scores, but {len(classes)} classes are "
            "named: give their names with --classes FILE, one a line; if these are "
            "features, export them under the name `features`"
        )
    return classes
