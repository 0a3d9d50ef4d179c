"""Search: features of files, and which of them are nearest to others."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jigsaw_shape.classifiers.answer_files import Answers, answer_files
from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data import image_folders
from jigsaw_shape.embedding import features_file, nearest, queries
from jigsaw_shape.embedding.features_file import Features
from jigsaw_shape.embedding.queries import Nearest

HEAD = "features"
INDEX = ".faiss"  # added to the name of the file of features

_Files = str | os.PathLike | Sequence[str | os.PathLike]


def search(
    wanted: _Files, among: _Files, model: Classifier, *, top: int
) -> list[Nearest]:
    """Does what `jigsaw_shape.search` says, with an opened model."""
    if top < 1:
        raise ValueError(f"top is {top}: 1 or more")
    facts = facts_of(model, model.name)
    index = None
    if _is_file_of_features(among):
        stored = features_file.read(Path(among))
        refuse_other(Path(among), stored.facts, facts)
        index = index_of(Path(among))
        if index is not None:
            nearest.refuse_missing()
    else:
        paths = _found(among, "there is nothing to search")
        answers = answer_files(model, paths, facts["background"], head=HEAD)
        stored = Features(answers.paths, answers.outputs, facts)
        if not stored.paths:
            raise ValueError(f"none of the images can be read: {_first_of(answers)}")
        if answers.failed:
            warnings.warn(f"not searched: {_first_of(answers)}", stacklevel=3)
    paths = _found(wanted, "there is no query")
    answers = answer_files(model, paths, facts["background"], head=HEAD)
    if answers.failed:
        raise ValueError(_first_of(answers))
    found = Features(answers.paths, answers.outputs, facts)
    return queries.find(found, stored, top, index)


def facts_of(model: Classifier, named: str, background: str = "") -> dict[str, Any]:
    """Returns what is kept beside features: of whom they are, how images were read.

    Args:
      model: Whose features they are.
      named: How the user named it.
      background: What shows through where an image is transparent; "" for the model's.

    Raises:
      ValueError: It gives no features.
    """
    if not model.has_features:
        raise ValueError(f"--model is {named}, which gives no features")
    return {
        "model": named,
        "encoder": model.about.get("encoder", ""),
        "digest": model.digest,
        "input_px": model.input_px,
        "image_size": model.about.get("image_size", model.size_px),
        "background": background or model.background,
    }


def refuse_other(path: Path, stored: dict[str, Any], facts: dict[str, Any]) -> None:
    """Refuses features of another model, which cannot be compared.

    Args:
      path: Their file.
      stored: What it says of them.
      facts: Of the model that is to be used.

    Raises:
      ValueError: They differ; says in what.
    """
    for name in ("digest", "input_px", "image_size", "background"):
        if stored.get(name, facts[name]) != facts[name]:
            raise ValueError(
                f"{path} has features of {stored.get('model')} with {name} "
                f"{stored[name]}, but {facts['model']} has {facts[name]}: embed the "
                "images again, or name that model"
            )


def index_of(path: Path) -> Path | None:
    """Returns the index beside a file of features; None without one."""
    index = path.with_name(path.name + INDEX)
    return index if index.is_file() else None


def _is_file_of_features(among: _Files) -> bool:
    if not isinstance(among, str | os.PathLike):
        return False
    return Path(among).suffix in features_file.SUFFIXES


def _found(files: _Files, if_none: str) -> list[str]:
    named = [files] if isinstance(files, str | os.PathLike) else files
    if not len(named):
        raise ValueError(f"{if_none}: name a file or a folder")
    return image_folders.find_named([os.fspath(name) for name in named]).images


def _first_of(answers: Answers) -> str:
    path, reason = next(iter(answers.failed.items()))
    n_more = len(answers.failed) - 1
    return f"{path}: {reason}" + (f" (and {n_more} more)" if n_more else "")
