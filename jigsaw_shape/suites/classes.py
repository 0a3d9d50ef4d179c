"""How a model's classes answer the categories of images, matched by plain names."""

import csv
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from jigsaw_shape.data.names import plain
from jigsaw_shape.measures import imagenet16
from jigsaw_shape.measures.shape_bias import class_ranks


@dataclasses.dataclass(frozen=True)
class Match:
    """The answers that a model can give about some images.

    Attributes:
      names: Of its answers, spelled as the images' categories where they are the same.
      members: The classes behind each answer; None: each class is its own answer.
      missing: Categories of the images that the model cannot answer.
      unseen: Answers that no image shows.
    """

    names: tuple[str, ...]
    members: tuple[tuple[int, ...], ...] | None
    missing: tuple[str, ...]
    unseen: tuple[str, ...]

    def responses(self, scores: np.ndarray) -> np.ndarray:
        """Returns the answers, str [n], of scores float32 [n, classes]."""
        if self.members is not None:
            scores = imagenet16.mean_log_probabilities(scores, self.members)
        return np.array(self.names)[scores.argmax(-1)]

    def ranks(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns each answer's place among all classes: float32 [n, names].

        Of an answer that stands for several classes it is the place of the best one.

        Args:
          outputs: `classification` and, of ImageNet's classifiers, `ranks`.
        """
        if "ranks" in outputs and self.members is None:
            return outputs["ranks"]
        return class_ranks(outputs["classification"], self.members)


def match(
    classes: Sequence[str],
    categories: Sequence[str],
    mapping: Mapping[str, str] | None = None,
) -> Match:
    """Returns how classes answer categories.

    `Alarm_Clock` and `alarm clock` are one name (`data.names.plain`). Where some
    category is not among the classes and `mapping` names some of the classes, the
    answers are the mapping's categories, each with the mean probability of its classes.
    Classes that are neither mapped nor a category are then never answered.

    Args:
      classes: Of the model, in the order of its scores.
      categories: That the images show.
      mapping: Category by the plain name of a class.
    """
    spelled = {plain(name): name for name in categories}
    names = [c if c in categories else spelled.get(plain(c), c) for c in classes]
    members = None
    mapped = [(mapping or {}).get(plain(name)) for name in classes]
    if any(mapped) and not set(categories) <= set(names):
        groups: dict[str, list[int]] = {}
        for number, (name, category) in enumerate(zip(names, mapped, strict=True)):
            category = category or (name if name in categories else None)
            if category is not None:
                category = spelled.get(plain(category), category)
                groups.setdefault(category, []).append(number)
        names, members = list(groups), tuple(map(tuple, groups.values()))
    return Match(
        names=tuple(names),
        members=members,
        missing=tuple(name for name in categories if name not in names),
        unseen=tuple(name for name in names if name not in categories),
    )


def read_mapping(path: pathlib.Path) -> dict[str, str]:
    """Returns a CSV's categories by the plain names of the classes.

    Its lines are `class,category`; a first line of these very words is a header.

    Raises:
      ValueError: A line is not of two names, or a class has two lines.
      OSError: The file cannot be read.
    """
    found: dict[str, str] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, line in enumerate(csv.reader(file), 1):
            cells = [cell.strip() for cell in line]
            if not any(cells) or (number == 1 and cells == ["class", "category"]):
                continue
            if len(cells) != 2 or not all(cells):
                raise ValueError(
                    f"--mapping {path}, line {number}: {','.join(line)!r} is not "
                    "CLASS,CATEGORY"
                )
            if plain(cells[0]) in found:
                raise ValueError(
                    f"--mapping {path}, line {number}: {cells[0]} has two lines"
                )
            found[plain(cells[0])] = cells[1]
    if not found:
        raise ValueError(f"--mapping {path} is empty: expected lines CLASS,CATEGORY")
    return found
