"""Answers of any framework's model, from a file: npz or CSV. Imports no JAX.

npz: `images`, str [n]; and `logits` or `probabilities`, float [n, classes], with
`classes`, str [classes], unless they are ImageNet's 1,000 or the 16 categories; or
`decisions`, str [n]. Beside these, or instead of them, `features`, float [n, F].
CSV: a header and a line an image. `image,decision`; or `image` and a column of scores
for each class; or the published format (`data.decisions`).
"""

import collections
import csv
import pathlib
import re
import zipfile
from collections.abc import Sequence

import numpy as np

from jigsaw_shape.data.decisions import COLUMNS, NO_ANSWER, Decisions, read_csv
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.measures import imagenet16
from jigsaw_shape.system.command_line import counted

_EXPECTED = (
    "an npz with images and logits or decisions, or a CSV with the columns "
    f"image,decision, or image and one for each class, or {','.join(COLUMNS)}"
)


def read_predictions(path: pathlib.Path, stimuli: Stimuli, *, name: str) -> Decisions:
    """Returns a file's decisions on the images of a folder, in the folder's order.

    Images are matched by name: by the path below the folder, by the file's name where
    there is one of it, or by either after a prefix that ends in `_`.

    Args:
      path: The file.
      stimuli: The images that it has to answer, each once, and no other.
      name: Of the model, for rows.

    Raises:
      ValueError: The columns or arrays are not those expected; an image is unknown,
        duplicate or missing; a score is not a number; or a decision is none of the
        images' categories. The message names the file and the first such image.
    """
    if not path.is_file():
        raise ValueError(f"--predictions {path}: no such file")
    if path.suffix.lower() == ".npz":
        images, answers, known = _read_npz(path, stimuli.categories)
    elif path.suffix.lower() == ".csv":
        images, answers, known = _read_csv(path, stimuli.categories)
    else:
        raise ValueError(f"--predictions {path}: expected {_EXPECTED}")
    rows = _matched(path, images, stimuli)
    response = np.asarray(answers)[rows]
    unknown = set(response.tolist()) - {*stimuli.categories, *known, NO_ANSWER}
    unknown -= set(imagenet16.CATEGORIES) if _in_16(stimuli) else set()
    if unknown:
        where = next(n for n, answer in enumerate(response) if answer in unknown)
        odd = str(response[where])
        raise ValueError(
            f"{path}: the decision on {stimuli.images[where]} is {odd!r}, "
            f"expected one of {', '.join(stimuli.categories)}, or {NO_ANSWER}"
        )
    return Decisions(
        observer=name,
        kind="model",
        experiment=stimuli.experiment,
        images=stimuli.images,
        category=stimuli.category,
        response=response,
    )


def read_features(path: pathlib.Path, stimuli: Stimuli) -> np.ndarray | None:
    """Returns a file's features float32 [n, F] of a folder's images; None without.

    Args:
      path: The file; only an npz has them.
      stimuli: The images that it has to answer, each once, and no other.

    Raises:
      ValueError: As for `read_predictions`; a feature is not a finite number.
    """
    is_npz = path.suffix.lower() == ".npz" and path.is_file()
    arrays = _arrays(path) if is_npz else {}
    if "features" not in arrays:
        return None
    if "images" not in arrays:
        raise ValueError(f"{path} holds {', '.join(arrays)}: expected images too")
    images = [str(image) for image in arrays["images"].ravel()]
    matrix = _matrix(path, images, arrays, "features")
    return in_order(path, images, matrix, stimuli, others=False)


def in_order(
    path: pathlib.Path,
    images: Sequence[str],
    features: np.ndarray,
    stimuli: Stimuli,
    *,
    others: bool = True,
) -> np.ndarray:
    """Returns features float32 [n, F] of a folder's images, in the folder's order.

    Args:
      path: Their file, for messages.
      images: N names, matched as those of `read_predictions` are.
      features: float [N, F].
      stimuli: The images, each of which has to be among them.
      others: Whether there may be other images, such as copies of these.

    Raises:
      ValueError: As for `read_predictions`; a feature is not a finite number.
    """
    _refuse_non_finite(path, images, features, "features")
    rows = _matched(path, images, stimuli, others=others)
    return features[rows].astype(np.float32)


def holds_answers(path: pathlib.Path) -> bool:
    """Returns whether an npz has scores or decisions."""
    return not {"logits", "probabilities", "decisions"}.isdisjoint(_arrays(path))


def _in_16(stimuli: Stimuli) -> bool:
    return set(stimuli.categories) <= set(imagenet16.CATEGORIES)


def _arrays(path) -> dict[str, np.ndarray]:
    """Returns an npz's arrays."""
    try:
        with np.load(path) as file:
            return dict(file)
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path} is no readable npz: {error}") from error


def _matrix(path, images, arrays, name) -> np.ndarray:
    """Returns one of the arrays: numbers, a row for each image."""
    matrix = arrays[name]
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        raise ValueError(
            f"{path}: {name} is {matrix.dtype} {list(matrix.shape)}, expected numbers "
            "with a row for each image"
        )
    _refuse_length(path, images, len(matrix), name)
    return matrix


def _read_npz(path, categories):
    """Returns images, decisions, and the classes that have scores."""
    arrays = _arrays(path)
    scores = [key for key in ("logits", "probabilities") if key in arrays]
    if "images" not in arrays or not (scores or "decisions" in arrays):
        raise ValueError(
            f"{path} holds {', '.join(arrays) or 'nothing'}: expected images, and "
            "logits, probabilities or decisions"
        )
    images = [str(image) for image in arrays["images"].ravel()]
    if not scores:
        answers = [str(answer) for answer in arrays["decisions"].ravel()]
        _refuse_length(path, images, len(answers), "decisions")
        return images, answers, ()
    matrix = _matrix(path, images, arrays, scores[0])
    classes = tuple(map(str, arrays["classes"].ravel())) if "classes" in arrays else ()
    if scores[0] == "probabilities":  # or shares of another sum, such as percentages
        matrix = _of_sum_1(path, images, matrix)
    return images, *_decide(path, images, matrix, classes, categories)


def _of_sum_1(path, images, matrix) -> np.ndarray:
    _refuse_non_finite(path, images, matrix, "probabilities")
    sums = matrix.sum(1, keepdims=True, dtype=np.float64)
    odd = np.flatnonzero((matrix < 0).any(1) | (sums[:, 0] <= 0))
    if len(odd):
        raise ValueError(
            f"{path}: the probabilities of {images[odd[0]]} are negative or all 0"
        )
    return matrix / sums


def _refuse_length(path, images, n, what) -> None:
    if n != len(images):
        raise ValueError(
            f"{path} has {len(images)} images but {n} {what}: expected one for each"
        )


def _read_csv(path, categories):
    """Returns images, decisions, and the classes that have scores."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        header, *lines = list(csv.reader(file)) or [[]]
    if set(COLUMNS) <= {column.lower() for column in header}:
        trials = read_csv(path)
        subjects = sorted({trial["subj"] for trial in trials})
        if len(subjects) > 1:
            raise ValueError(
                f"{path} has the trials of {', '.join(subjects)}: expected those of "
                "one subject; --observers reads folders of several"
            )
        images = [trial["imagename"] for trial in trials]
        return images, [trial["object_response"] for trial in trials], ()
    others = [column for column in header if column != "image"]
    if "image" not in header or not others or len(set(header)) < len(header):
        raise ValueError(
            f"{path} has the columns {','.join(header)}: expected {_EXPECTED}"
        )
    for number, line in enumerate(lines, 2):
        if len(line) != len(header):
            raise ValueError(
                f"{path}, line {number}: {len(line)} fields, expected {len(header)}"
            )
    images = [line[header.index("image")] for line in lines]
    if others == ["decision"]:
        return images, [line[header.index("decision")] for line in lines], ()
    matrix = np.empty((len(lines), len(others)))
    for row, line in enumerate(lines):
        for column, cell in enumerate(
            c for c, h in zip(line, header, strict=True) if h != "image"
        ):
            try:
                matrix[row, column] = float(cell)
            except ValueError:
                raise ValueError(
                    f"{path}: the score of {images[row]} for {others[column]} is "
                    f"{cell!r}, expected a number"
                ) from None
    classes = tuple(others)
    if others == [str(n) for n in range(len(others))]:  # numbers are no names
        classes = ()
    return images, *_decide(path, images, matrix, classes, categories)


def _decide(path, images, matrix, classes, categories):
    """Returns the class of each image's largest score, and all that were scored."""
    _refuse_non_finite(path, images, matrix, "scores")
    n = matrix.shape[1]
    if n == imagenet16.N_CLASSES and (not classes or _are_imagenets(classes)):
        matrix, classes = imagenet16.category_scores(matrix), imagenet16.CATEGORIES
    elif n == len(imagenet16.CATEGORIES) and not classes:
        classes = imagenet16.CATEGORIES
    if len(classes) != matrix.shape[1]:
        raise ValueError(
            f"{path}: {n} scores an image and {len(classes)} classes: expected a name "
            f"for each score, or ImageNet's {imagenet16.N_CLASSES} scores"
        )
    missing = [name for name in categories if name not in classes]
    if missing:
        raise ValueError(
            f"{path} has no scores for {', '.join(missing)}, which the images show"
        )
    return [classes[answer] for answer in matrix.argmax(1)], classes


def _are_imagenets(classes) -> bool:
    """Returns whether names are WordNet ids in the usual order, that of the ids."""
    ids = [name for name in classes if re.fullmatch(r"n\d{8}", name)]
    return ids == sorted(classes)


def _refuse_non_finite(path, images, matrix, what) -> None:
    bad = np.flatnonzero(~np.isfinite(matrix).all(1))
    if len(bad):
        raise ValueError(
            f"{path}: {counted(len(bad), 'image')} with {what} that are not finite "
            f"numbers, such as {images[bad[0]]}"
        )


def _matched(path, images, stimuli: Stimuli, *, others=False) -> np.ndarray:
    """Returns the row of the file that answers each of the folder's images."""
    known = {image: image for image in stimuli.images}
    n_called = collections.Counter(file.name for file in stimuli.paths)
    is_path = others and any("/" in image for image in stimuli.images)
    for image, file in zip(stimuli.images, stimuli.paths, strict=True):
        if is_path:  # the path below the folder alone tells an image from others
            continue
        known.setdefault(f"{file.parent.name}/{file.name}", image)
        if n_called[file.name] == 1:
            known.setdefault(file.name, image)
    row_of = {}
    for row, image in enumerate(images):
        parts = pathlib.PurePosixPath(image.replace("\\", "/")).parts
        tails = ("/".join(parts[-n:]) for n in range(len(parts), 1, -1))
        # A published name has a prefix, which ends in some `_`.
        ends = ("_".join(image.split("_")[n:]) for n in range(1, image.count("_") + 1))
        names = (image, *tails, *ends)
        key = next((name for name in names if name in known), None)
        if key is None and others:
            continue
        if key is None:
            raise ValueError(
                f"{path}: the image {image!r} is not in {stimuli.name}, which has "
                f"{stimuli.images[0]} and the like"
            )
        if known[key] in row_of:
            raise ValueError(f"{path}: the image {image!r} is duplicate: keep one")
        row_of[known[key]] = row
    missing = [image for image in stimuli.images if image not in row_of]
    if missing:
        raise ValueError(
            f"{path} has no answer for {len(missing)} of the {len(stimuli.images)} "
            f"images in {stimuli.name}, such as {missing[0]}"
        )
    return np.array([row_of[image] for image in stimuli.images])
