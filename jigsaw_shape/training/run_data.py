"""From a configuration to the images that a run learns from, and to their styles."""

import dataclasses

import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape import config as config_lib
from jigsaw_shape.data import sources, unlabelled
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.decoding import background_of
from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.data.splits import NONE, Splits, split
from jigsaw_shape.diversify import (
    DIVERSIFIERS,
    named,
    style_images,
    stylizer_files,
    with_styles,
)
from jigsaw_shape.diversify.schedule import Styling
from jigsaw_shape.runs import directory
from jigsaw_shape.system import devices
from jigsaw_shape.training.losses import need_two_sources


def load_data(config: ConfigDict) -> tuple[Dataset, Splits]:
    """Returns the data set and its split, checked against the configuration.

    Where the run has begun, what it began with is used if it is still prepared.

    Raises:
      ValueError: No such data, an unknown domain, the target among the sources.
    """
    images = directory.read_images(config_lib.workdir(config))
    dataset = sources.load_dataset(config.data, images)
    if len(dataset.classes) == 1:
        raise ValueError(
            f"{dataset.name} has one class, {dataset.classes[0]}, so there is nothing "
            "to tell apart: use a data set of two classes or more"
        )
    splits = split(
        dataset,
        target=config.data.target,
        sources=config_lib.source_names(config),
        method=config.data.split,
        seed=config.data.split_seed,
    )
    if len(splits.sources) == 1:
        _refuse_one_source(config, splits.sources[0])
    if len(splits.val) == 0 and splits.method != NONE:
        raise ValueError(
            f"--config.data.split={splits.method} holds out no image of "
            f"{', '.join(splits.sources)} for validation: they have too few images"
        )
    return dataset, splits


def load_again(config: ConfigDict) -> tuple[Dataset, Splits]:
    """Returns what `load_data` does, of a run that has been trained.

    Raises:
      ValueError: As there, or the images are not those that it was trained on.
    """
    dataset, splits = load_data(config)
    workdir = config_lib.workdir(config)
    trained, now = directory.read_images(workdir), dataset.digest()
    if trained not in ("", now):
        raise ValueError(
            f"{workdir} was trained on other images of {dataset.name} (digest "
            f"{trained}, now {now}), of which some may be held out now: prepare those "
            "again"
        )
    return dataset, splits


def add_unlabelled(
    config: ConfigDict, dataset: Dataset, splits: Splits
) -> tuple[Dataset, Splits]:
    """Returns both with the images that train without labels, if the run has any.

    Those of `config.data.unlabelled`, and with `config.data.setting` adaptation the
    target's own.

    Raises:
      ValueError: No such folder, or an image of it is one of the target.
      OSError: An image cannot be read.
    """
    n, folders = len(dataset), config_lib.listed(config.data.unlabelled)
    if config.data.name == unlabelled.DOMAIN:  # they are the data set
        return dataset, splits
    if folders:
        more = unlabelled.load(
            folders,
            size_px=config.data.stored_px,
            background=background_of(config.data),
        )
        dataset = unlabelled.with_images(dataset, more)
    if config.data.setting == "adaptation":
        dataset = unlabelled.with_hidden_labels(dataset, splits.target)
    elif folders:
        style_images.refuse_target(
            style_images.thumbnails(more, config.data.unlabelled),
            dataset,
            splits.target,
            "config.data.unlabelled",
        )
    return dataset, dataclasses.replace(splits, unlabelled=np.arange(n, len(dataset)))


def _refuse_one_source(config: ConfigDict, source: str) -> None:
    """Refuses methods that need a second source."""
    diversify, mix = config.diversify, config.mixstyle
    data = config.data
    has_more = data.setting == "adaptation" or (
        data.unlabelled and data.name != unlabelled.DOMAIN
    )
    for name in need_two_sources(config):
        if name == "domain" and has_more:  # images without labels are another domain
            continue
        ways = ", or config.dann.domains=style" if name == "domain" else ""
        raise ValueError(
            f"--config.losses.{name}={config.losses[name]} compares sources, and "
            f"{source} is the only one: set it to 0{ways}"
        )
    styled = with_styles(diversify.name)
    if styled and min(diversify.external) < 1:
        raise ValueError(
            f"--config.diversify.external='{tuple(diversify.external)}': styles for "
            f"{', '.join(styled)} are images of other sources, and "
            f"{source} is the only one: set it to '(1.0,)' to take them from "
            "config.diversify.styles, or set config.diversify.name to "
            f"{' or '.join(n for n, d in DIVERSIFIERS.items() if not d.uses_styles)}"
        )
    if mix.stages and mix.mix == "crossdomain":
        raise ValueError(
            f"--config.mixstyle.mix={mix.mix} needs two sources, and {source} is the "
            "only one: set it to random"
        )


def open_images(
    config: ConfigDict, dataset: Dataset
) -> tuple[ImageStore, ImageStore | None]:
    """Returns the data set's images and its cue-conflict images, if it has any.

    Raises:
      OSError: An image cannot be read; names it.
    """

    def open_one(images):
        return ImageStore(
            images,
            cache=config.data.cache,
            stored_px=config.data.stored_px,
            place=devices.replicate,
        )

    cue_conflict = sources.load_cue_conflict(config.data)
    return open_one(dataset), None if cue_conflict is None else open_one(cue_conflict)


def load_styling(
    config: ConfigDict, dataset: Dataset, splits: Splits
) -> tuple[Styling, dict[str, str]]:
    """Returns what diversifying needs besides the batch, and digests of it by name.

    In host memory: `devices.replicate` puts it where a step looks for it.

    The shipped styles are of no benchmark; those of a folder are compared with every
    image of the target.

    Raises:
      ValueError: No such styles or stylizer, or a style is an image of the target.
      OSError: A style cannot be read; names it.
    """
    styles, pair, digests = None, None, {}
    if any(DIVERSIFIERS[n].uses_stylizer for n in named(config.diversify.name)):
        stylizer = stylizer_files.load_pair(config.diversify.stylizer)
        pair, digests["stylizer"] = stylizer.pair, stylizer.digest
    if config.diversify.name and any(config.diversify.external):
        found = style_images.load(
            config.diversify.styles,
            n_most=config.diversify.n_styles,
            size_px=config.data.image_size,
            seed=config.seed,
            background=background_of(config.data),
        )
        if config.diversify.styles != style_images.PACK:
            style_images.refuse_target(found, dataset, splits.target)
        styles, digests["styles"] = found.images, found.digest()
    return Styling(styles, pair), digests
