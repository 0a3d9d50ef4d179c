"""Data sets by name, for `config.data.name`."""

import pathlib
from collections.abc import Callable

from ml_collections import ConfigDict

from jigsaw_shape.data import (
    emoji,
    imagenet,
    known_sets,
    prepared_folders,
    unlabelled,
)
from jigsaw_shape.data.dataset import Dataset, with_classes
from jigsaw_shape.data.decoding import background_of
from jigsaw_shape.data.embedded import emoji_small, shapes
from jigsaw_shape.data.names import listed, plain


def _check_shapes(data: ConfigDict) -> None:
    if "draw_seed" not in data:
        raise ValueError(
            "config.data.name is 'shapes', whose fields only configs/shapes.py has: "
            "use --config configs/shapes.py"
        )
    if data.n_cue_conflict_per_class < 1:  # before the others are drawn
        raise ValueError(
            "config.data.n_cue_conflict_per_class is "
            f"{data.n_cue_conflict_per_class}: 1 or more allowed"
        )


def _shapes(data: ConfigDict) -> Dataset:
    _check_shapes(data)
    return shapes.load(
        n_per_class=data.n_per_class,
        texture_correlation=data.texture_correlation,
        seed=data.draw_seed,
        size_px=data.stored_px,
    )


def _shapes_cue_conflict(data: ConfigDict) -> Dataset:
    return shapes.load_cue_conflict(
        n_per_class=data.n_cue_conflict_per_class,
        seed=data.draw_seed,
        size_px=data.stored_px,
    )


def _imagenet(data: ConfigDict) -> Dataset:
    sources = listed(data.sources)
    return imagenet.load(
        [*(sources or ["photo"]), data.target],
        data_dir=data.data_dir,
        stored_px=data.stored_px,
        background=background_of(data),
    )


def _unlabelled(data: ConfigDict) -> Dataset:
    folders = listed(data.unlabelled)
    return unlabelled.load(
        folders, size_px=data.stored_px, background=background_of(data)
    )


# Any other name is a folder of images, `{domain}/{class}/*`, known or the user's own.
SOURCES: dict[str, Callable[[ConfigDict], Dataset]] = {
    "shapes": _shapes,
    "emoji_small": lambda data: emoji_small.load(size_px=data.stored_px),
    "imagenet": _imagenet,
    unlabelled.DOMAIN: _unlabelled,
}

# Their domains, known without looking at an image.
DOMAINS: dict[str, tuple[str, ...]] = {
    "shapes": shapes.DOMAINS,
    "emoji_small": emoji_small.DOMAINS,
    "imagenet": tuple(imagenet.DOMAINS),
    unlabelled.DOMAIN: (unlabelled.DOMAIN,),
}

# Images whose shape and texture disagree, with both labels.
CUE_CONFLICT: dict[str, Callable[[ConfigDict], Dataset]] = {
    "shapes": _shapes_cue_conflict
}


def load_dataset(data: ConfigDict, images: str = "") -> Dataset:
    """Returns the data set that `config.data` names; a folder is prepared if needed.

    Args:
      data: The configuration's.
      images: Digest (`Dataset.digest`) of the images that a run began with; "" for a
        new one. Where that is what is prepared, the folder that it came from may be
        gone or have changed since.

    Raises:
      ValueError: It cannot be loaded; the message says what to do.
    """
    if data.name in SOURCES:
        return _with_chosen(SOURCES[data.name](data), data)
    dataset = prepared_folders.load(
        data.name,
        source_dir=data.source_dir,
        data_dir=data.data_dir,
        stored_px=data.stored_px,
        background=background_of(data),
        is_expected=lambda found: _with_chosen(found, data).digest() == images,
    )
    return _with_chosen(dataset, data)


def _with_chosen(dataset: Dataset, data: ConfigDict) -> Dataset:
    """Returns the images of the classes that `config.data.classes` names."""
    chosen = []
    for name in class_names(data):
        is_part = name in emoji.PARTS and name not in dataset.classes
        chosen += emoji.names_of(name, dataset.classes) if is_part else [name]
    return with_classes(dataset, tuple(dict.fromkeys(chosen)))


def load_cue_conflict(data: ConfigDict) -> Dataset | None:
    """Returns the data set's own cue-conflict images, None where it has none."""
    if data.name not in CUE_CONFLICT:
        return None
    return with_classes(CUE_CONFLICT[data.name](data), class_names(data))


def class_names(data: ConfigDict) -> tuple[str, ...]:
    """Returns the names in `config.data.classes`; () where all classes count.

    Raises:
      ValueError: It is a file that cannot be read.
    """
    named = data.get("classes", "")
    if not named.endswith(".txt"):
        return listed(named)
    try:
        lines = pathlib.Path(named).expanduser().read_text().splitlines()
    except (OSError, ValueError) as error:
        raise ValueError(f"config.data.classes is {named}: {error}") from error
    return tuple(line.strip() for line in lines if line.strip())


def domain_name(data: ConfigDict, name: str) -> str:
    """Returns the name of a domain as the data set has it: `real_world`.

    Args:
      data: The configuration's.
      name: In any spelling, such as `"Real World"`.
    """
    known = "" if data.name in SOURCES else known_sets.find_set(data.name).domain(name)
    return known or plain(name)


def spell_domains(data: ConfigDict) -> None:
    """Writes `config.data.target` and `sources` as the data set has its domains."""
    data.target = domain_name(data, data.target)
    named = list(listed(data.sources))
    spelled = [domain_name(data, name) for name in named]
    if spelled != named:
        data.sources = ",".join(spelled)


def known_domains(data: ConfigDict) -> tuple[str, ...]:
    """Returns the domains of the data set that `config.data` names, without its images.

    () for a user's own, and for one whose copies differ: their folders have to be
    looked at.
    """
    if data.name in DOMAINS:
        return DOMAINS[data.name]
    known = known_sets.find_set(data.name)
    return () if known.totals else tuple(known.domains)
