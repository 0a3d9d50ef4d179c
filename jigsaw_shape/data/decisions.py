"""What observers answered, trial by trial, in the published CSV format.

A file has the columns `subj,session,trial,rt,object_response,category,condition,
imagename` (Geirhos et al., ICLR 2019, the data beside the paper). The name of an image
carries a prefix that tells an observer's trials apart and ends in the last `_`, such as
`0001_s5n_dnn_0_cat_00_`.
"""

import csv
import dataclasses
import pathlib
import re
from collections.abc import Iterable, Sequence

import numpy as np

COLUMNS = (
    *("subj", "session", "trial", "rt", "object_response"),
    *("category", "condition", "imagename"),
)
NO_ANSWER = "na"  # a human did not answer in time: a wrong answer, not a missing one

# Experiment -> what the name of its folder holds, looked for in this order.
EXPERIMENTS = {
    "cue_conflict": ("style-transfer", "cue-conflict"),
    "silhouettes": ("silhouette",),
    "edges": ("edge",),
    "greyscale": ("greyscale", "grayscale"),
    "black_and_white": ("black-and-white",),
    "original": ("original",),
    "texture": ("texture",),
}
# Out-of-distribution set of model-vs-human -> the conditions that its benchmark leaves
# out: undistorted images, and those of which people name less than 20 % rightly.
NOT_COUNTED = {
    "colour": ("cr",),
    "contrast": ("c100", "c03", "c01"),
    "high-pass": ("inf", "0.55", "0.45", "0.4"),
    "low-pass": ("0", "15", "40"),
    "phase-scrambling": ("0", "150", "180"),
    "power-equalisation": ("0",),
    "false-colour": ("True",),
    "rotation": ("0",),
    "eidolonI": ("1-10-10", "64-10-10", "128-10-10"),
    "eidolonII": ("1-3-10", "32-3-10", "64-3-10", "128-3-10"),
    "eidolonIII": ("1-0-10", "16-0-10", "32-0-10", "64-0-10", "128-0-10"),
    "uniform-noise": ("0.0", "0.6", "0.9"),
    "sketch": (),
    "stylized": (),
}
# Its letters in the names of images.
_CODES = {
    "cue_conflict": "s5n",
    "silhouettes": "sif",
    "edges": "edg",
    "greyscale": "gra",
    "original": "org",
    "texture": "tex",
}
# Trial, experiment, observer, condition, category, a number; then the image.
_WORDNET_ID = re.compile(r"n\d{8}")
_WITH_FOLDER = re.compile(r"\d+_[^_]+_[^_]+_0_.+?_00_(.+/.+)")


@dataclasses.dataclass(frozen=True)
class Decisions:
    """One observer's answers in one experiment.

    Attributes:
      observer: Its name.
      kind: `"human"`, `"network"` (published) or `"model"` (evaluated here).
      experiment: A key of `EXPERIMENTS`, or the name of other data.
      images: Their names, each once, such as `"cat1-boat2.png"`.
      category: str [n], the right answers: of a cue conflict the shape's.
      response: str [n], the answers.
    """

    observer: str
    kind: str
    experiment: str
    images: tuple[str, ...]
    category: np.ndarray
    response: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """Bool [n]: whether each answer is right."""
        return self.response == self.category

    def on(self, images: Sequence[str]) -> "Decisions":
        """Returns the decisions on these images alone, in their order.

        Raises:
          ValueError: There is none on one of them; names it.
        """
        position = {name: n for n, name in enumerate(self.images)}
        missing = [name for name in images if name not in position]
        if missing:
            raise ValueError(
                f"{self.observer} has no decision on {len(missing)} of the images, "
                f"such as {missing[0]}"
            )
        rows = np.array([position[name] for name in images], int)
        return dataclasses.replace(
            self,
            images=tuple(images),
            category=self.category[rows],
            response=self.response[rows],
        )


def image_key(imagename: str) -> str:
    """Returns an image's name without an observer's prefix: `"cat1-boat2.png"`.

    A name with a folder, as `write_csv` writes it where names alone are not enough,
    keeps it: `"cat/056_0002.png"`. So does a name of ImageNet: `"n02951358_5952.png"`.
    """
    with_folder = _WITH_FOLDER.fullmatch(imagename)
    if with_folder:
        return with_folder[1]
    *_, before, last = ("", *imagename.rsplit("_", 2))
    return f"{before}_{last}" if _WORDNET_ID.fullmatch(before) else last


def experiment_of(folder_name: str) -> str | None:
    """Returns the experiment that a folder's name speaks of, None if it does not."""
    name = re.sub(r"[ _]", "-", folder_name.lower())
    for experiment, words in EXPERIMENTS.items():
        if any(re.search(rf"(^|-){word}s?(-|$)", name) for word in words):
            return experiment
    return None


def read_csv(path: pathlib.Path) -> list[dict[str, str]]:
    """Returns a file's trials, by column.

    Raises:
      ValueError: It lacks columns, or a line is short; names the file and the line.
      OSError: It cannot be read.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames:  # some published files write "Session"
            reader.fieldnames = [name.lower() for name in reader.fieldnames]
        missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path} has no column {', '.join(missing)}: expected a header line "
                f"with {','.join(COLUMNS)}"
            )
        trials = []
        for trial in reader:
            if any(trial[column] is None for column in COLUMNS):
                raise ValueError(
                    f"{path}, line {reader.line_num}: fewer than {len(COLUMNS)} fields"
                )
            trials.append(trial)
    return trials


def read_observers(folder: pathlib.Path) -> list[Decisions]:
    """Returns the decisions of everyone in a folder of experiments' folders.

    Observers are told apart by folder and `subj`: one name in two folders is two
    observers, the second of which is called `NAME (FOLDER)`. Several files or sessions
    of one are put together. `subject-...` are humans.

    Args:
      folder: With a folder an experiment, whose name says which (`EXPERIMENTS`).

    Raises:
      ValueError: There is no such folder, no decisions in it, a damaged file, or two
        decisions of one observer on one image.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: --observers names one")
    trials: dict[tuple[pathlib.Path, str], list[dict]] = {}
    for path in sorted(folder.rglob("*.csv")):
        if _decided(path.parent.name) is None:
            continue
        for trial in read_csv(path):
            trials.setdefault((path.parent, trial["subj"]), []).append(trial)
    if not trials:
        raise ValueError(
            f"{folder} holds no decisions: expected folders such as cue-conflict or "
            f"edges with CSV files of {','.join(COLUMNS)}"
        )
    found, taken = [], set()
    for (parent, subject), records in trials.items():
        experiment = _decided(parent.name)
        name = subject
        if (experiment, name) in taken:
            name = f"{subject} ({parent.name.removeprefix(_stem(parent))})"
        taken.add((experiment, name))
        found.append(_collect(name, experiment, records, parent))
    return found


def _decided(folder_name: str) -> str | None:
    """Returns the experiment of a folder of decisions, None if its name says none."""
    if folder_name in NOT_COUNTED:
        return folder_name
    return experiment_of(folder_name)


def _stem(folder: pathlib.Path) -> str:
    """Returns what a folder's name begins with and a shorter neighbour is called."""
    names = [other.name for other in folder.parent.iterdir() if other != folder]
    starts = [name for name in names if folder.name.startswith(name)]
    return max(starts, key=len) + "-" if starts else ""


def _collect(name, experiment, records, parent) -> Decisions:
    images = tuple(image_key(record["imagename"]) for record in records)
    if len(set(images)) < len(images):
        twice = next(image for image in images if images.count(image) > 1)
        raise ValueError(f"{parent}: {name} has two decisions on {twice}")
    return Decisions(
        observer=name,
        kind="human" if name.startswith("subject") else "network",
        experiment=experiment,
        images=images,
        category=np.array([record["category"] for record in records]),
        response=np.array([record["object_response"] for record in records]),
    )


def write_csv(decisions: Decisions, path: pathlib.Path) -> None:
    """Writes decisions in the published format, a trial an image."""
    code = _CODES.get(decisions.experiment, "img")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        trials = zip(
            decisions.images, decisions.category, decisions.response, strict=True
        )
        for trial, (image, category, response) in enumerate(trials, 1):
            name = f"{trial:04d}_{code}_dnn_0_{category}_00_{image}"
            row = (decisions.observer, 1, trial, "NaN", response, category, 0, name)
            writer.writerow(row)


def humans(observers: Iterable[Decisions], experiment: str) -> list[Decisions]:
    """Returns the humans of an experiment."""
    return [o for o in observers if (o.kind, o.experiment) == ("human", experiment)]
