"""Data sets by name, for `config.data.name`."""

from collections.abc import Callable

from ml_collections import ConfigDict

from jigsaw_shape.data import imagenet, known_sets, prepared_folders
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.decoding import background_of
from jigsaw_shape.data.embedded import shapes


def _check_shapes(data: ConfigDict) -> None:
    if "draw_seed" not in data:
        raise ValueError(
            "config.data.name is 'shapes', whose fields only configs/shapes.py has: "
            "use --config configs/shapes.py"
        )
    for key in ("n_per_class", "n_cue_conflict_per_class"):
        if data[key] < 1:
            raise ValueError(f"config.data.{key} is {data[key]}: 1 or more allowed")
    if not 0 <= data.draw_seed < 2**32:
        raise ValueError(
            f"config.data.draw_seed is {data.draw_seed}: 0 to {2**32 - 1} allowed"
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
    sources = [source.strip() for source in data.sources.split(",") if source.strip()]
    return imagenet.load(
        [*(sources or ["photo"]), data.target],
        data_dir=data.data_dir,
        stored_px=data.stored_px,
        background=background_of(data),
    )


# Any other name is a folder of images, `{domain}/{class}/*`, known or the user's own.
SOURCES: dict[str, Callable[[ConfigDict], Dataset]] = {
    "shapes": _shapes,
    "imagenet": _imagenet,
}

# Their domains, known without looking at an image.
DOMAINS: dict[str, tuple[str, ...]] = {
    "shapes": shapes.DOMAINS,
    "imagenet": tuple(imagenet.DOMAINS),
}

# Images whose shape and texture disagree, with both labels.
CUE_CONFLICT: dict[str, Callable[[ConfigDict], Dataset]] = {
    "shapes": _shapes_cue_conflict
}


def load_dataset(data: ConfigDict) -> Dataset:
    """Returns the data set that `config.data` names; a folder is prepared if needed.

    Raises:
      ValueError: It cannot be loaded; the message says what to do.
    """
    if data.name in SOURCES:
        return SOURCES[data.name](data)
    return prepared_folders.load(
        data.name,
        source_dir=data.source_dir,
        data_dir=data.data_dir,
        stored_px=data.stored_px,
        background=background_of(data),
    )


def load_cue_conflict(data: ConfigDict) -> Dataset | None:
    """Returns the data set's own cue-conflict images, None where it has none."""
    return CUE_CONFLICT[data.name](data) if data.name in CUE_CONFLICT else None


def known_domains(data: ConfigDict) -> tuple[str, ...]:
    """Returns the domains of the data set that `config.data` names, without its images.

    None are known of a user's own, whose folders have to be looked at: ().
    """
    if data.name in DOMAINS:
        return DOMAINS[data.name]
    return tuple(known_sets.find_set(data.name).domains)
