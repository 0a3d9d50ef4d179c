"""Refuses configurations that cannot work, before anything is loaded or compiled.

A refusal is one line: the field as it is typed, its value, and what is allowed.
"""

import math

from ml_collections import ConfigDict

from jigsaw_shape import config as config_lib
from jigsaw_shape.checks.fields import check_field, refuse
from jigsaw_shape.data.decoding import background_of, parse_background
from jigsaw_shape.data.splits import NONE
from jigsaw_shape.data.unlabelled import DOMAIN as UNLABELLED

# Losses that compare domains.
_OF_DOMAINS = ("coral", "mmd", "cdann", "vrex", "irm", "groupdro", "fishr")
# Losses that learn nothing from images without labels.
_OF_LABELS = ("classification", *_OF_DOMAINS, "sd", "style")
# Losses that read the class head's answers.
_OF_CLASSES = (*_OF_LABELS, "consistency", "jsd", "teacher")
# Losses that a blend of two images cannot have.
_OF_ONE_IMAGE = (
    *("jigsaw", "consistency", "jsd", "teacher", "distillation", "edges"),
    *(*_OF_DOMAINS, "domain", "style"),
)
_LEAST_ADAIN_PX = 16  # two pixels of features
_MOST_PERMUTATIONS = 10_000  # of those that a grid of 3 or 4 has


def check(config: ConfigDict, n_devices: int) -> None:
    """Refuses values that cannot work.

    Args:
      config: A configuration with the fields of `config.default_config`.
      n_devices: Devices over all processes, between which batches are divided.

    Raises:
      ValueError: A field is wrong; the message names it, its value, what is allowed.
    """
    defaults = config_lib.flatten(config_lib.default_config().to_dict())
    for key, value in config_lib.flatten(config.to_dict()).items():
        check_field(key, value, defaults.get(key))
    _check_length(config)
    _check_sizes(config, n_devices)
    _check_ordered("augment.crop_scale", config, most=1)
    _check_ordered("augment.crop_ratio", config)
    _check_jigsaw(config, n_devices)
    _check_diversify(config)
    _check_unlabelled(config)
    _check_class_head(config)
    _check_split(config)
    if config.averaging.name and config.optim.ema_decay > 0:
        refuse(
            "averaging.name",
            config.averaging.name,
            f"a run keeps one average: set --config.optim.ema_decay="
            f"{config.optim.ema_decay} to 0",
        )
    if config.averaging.trained < 1 and config.model.init == "random":
        refuse(
            "averaging.trained",
            config.averaging.trained,
            "the rest is the first weights, and random ones know nothing: set "
            "--config.model.init",
        )
    try:
        parse_background(background_of(config.data))
    except ValueError as error:
        raise ValueError(f"--config.data.{error}") from error


def _check_split(config):
    """Refuses what is chosen on validation images where none are held out."""
    if config.data.split != NONE:
        return
    if config.losses.classification == 0:
        refuse(
            "data.split",
            NONE,
            "a run without classes is judged by the validation images whose puzzles it "
            "solves: use jigen or domainbed",
        )
    if config.averaging.name == "segments":
        refuse(
            "data.split",
            NONE,
            "SWAD's window is chosen by the loss of validation images: use jigen or "
            "domainbed, or --config.averaging.name=sma",
        )


def _check_length(config: ConfigDict) -> None:
    if (config.epochs > 0) == (config.steps > 0):
        refuse(
            "epochs",
            config.epochs,
            f"with --config.steps={config.steps}: set exactly one of the two above 0",
        )


def _check_sizes(config: ConfigDict, n_devices: int) -> None:
    grid, size = config.jigsaw.grid, config.data.image_size
    if size <= 0 or size % grid:
        near = f"{max(size // grid, 1) * grid} or {(size // grid + 1) * grid}"
        refuse(
            "data.image_size",
            size,
            f"--config.jigsaw.grid={grid} must divide it: use {near}",
        )
    for key in ("data", "eval"):
        size = config[key].batch_size
        if size <= 0 or size % n_devices:
            refuse(
                f"{key}.batch_size",
                size,
                f"use a multiple of {n_devices}, the number of devices",
            )


def _check_ordered(key: str, config: ConfigDict, most: float = math.inf) -> None:
    room, field = key.split(".")
    low, high = values = config[room][field]
    if not 0 < low <= high <= most:
        limit = "" if most == math.inf else f" <= {most}"
        refuse(key, values, f"use 0 < smallest <= largest{limit}")


def _check_jigsaw(config: ConfigDict, n_devices: int) -> None:
    jigsaw = config.jigsaw
    most = min(math.factorial(jigsaw.grid**2) - 1, _MOST_PERMUTATIONS)
    if not 1 <= jigsaw.n_permutations <= most:
        refuse(
            "jigsaw.n_permutations",
            jigsaw.n_permutations,
            f"use 1 to {most} for {jigsaw.grid} x {jigsaw.grid} tiles",
        )
    n_beside = (1 - jigsaw.bias_whole_image) * config.data.batch_size / n_devices
    if jigsaw.view == "beside" and round(n_beside) < 1:
        refuse(
            "jigsaw.bias_whole_image",
            jigsaw.bias_whole_image,
            "with --config.jigsaw.view=beside it leaves no puzzle in a device's part "
            "of a batch: lower it, such as to 0",
        )
    if jigsaw.encode == "tiles" and jigsaw.view != "beside":
        refuse(
            "jigsaw.encode",
            "tiles",
            "tiles that are encoded apart make no image to classify: set "
            "--config.jigsaw.view=beside too",
        )
    if jigsaw.orders_per_image > 1 and jigsaw.encode != "tiles":
        refuse(
            "jigsaw.orders_per_image",
            jigsaw.orders_per_image,
            "a picture that is encoded whole has one order: set "
            "--config.jigsaw.encode=tiles too",
        )
    if jigsaw.all_permutations and tuple(jigsaw.orders) != (1.0,):
        refuse(
            "jigsaw.orders",
            jigsaw.orders,
            "with --config.jigsaw.all_permutations there is no set: use '(1.0,)'",
        )
    if jigsaw.all_permutations and jigsaw.answer != "positions":
        refuse(
            "jigsaw.all_permutations",
            True,
            "the head names an order of a set: set "
            "--config.jigsaw.answer=positions too",
        )


def _check_unlabelled(config: ConfigDict) -> None:
    data, losses = config.data, config.losses
    classless = losses.classification == 0
    if data.name == UNLABELLED:
        if not data.unlabelled:
            refuse("data.unlabelled", "", "name the folders: DIR, or DIR,DIR")
        if not classless:
            refuse(
                "losses.classification",
                losses.classification,
                "images without labels teach no class: set it to 0, or use the preset "
                "selfsup",
            )
        if data.target:
            refuse(
                "data.target",
                data.target,
                "images without labels hold out no domain: leave it empty",
            )
    elif not data.target:
        refuse("data.target", "", "name the domain to hold out")
    needs = "set --config.losses.jigsaw above 0, or use a preset such as puzzle"
    if classless and losses.jigsaw == 0:
        refuse(
            "losses.classification",
            losses.classification,
            f"without classes a run is selected by the puzzles that it solves: {needs}",
        )
    for name, weight in losses.items():
        if classless and weight > 0 and name in _OF_CLASSES:
            refuse(
                f"losses.{name}",
                weight,
                "it reads the answers of the class head: set "
                "--config.losses.classification above 0, or this to 0",
            )
    if any(w > 0 and name not in _OF_LABELS for name, w in losses.items()):
        return
    if data.unlabelled:
        refuse(
            "data.unlabelled",
            data.unlabelled,
            f"no loss learns without labels: {needs}",
        )
    if data.setting == "adaptation":
        refuse("data.setting", "adaptation", f"no loss learns without labels: {needs}")
    if config.classification.detached:
        refuse("classification.detached", True, f"nothing trains the encoder: {needs}")


def _check_class_head(config: ConfigDict) -> None:
    """Refuses methods that cannot share the images or the class head."""
    losses, mixing = config.losses, config.mixing.name
    of_one_image = {f"losses.{name}": losses[name] for name in _OF_ONE_IMAGE}
    for key, value in {**of_one_image, "rsc.features": config.rsc.features}.items():
        if mixing and value > 0:
            refuse(
                "mixing.name",
                mixing,
                f"--config.{key}={value} is of single images, and mixed ones have two "
                "labels and domains: set one of the two to 0 or ''",
            )
    if losses.teacher > 0 and losses.distillation > 0:
        refuse(
            "losses.distillation",
            losses.distillation,
            f"--config.losses.teacher={losses.teacher} has another teacher: set one of "
            "the two to 0",
        )
    if losses.distillation > 0 and config.model.init == "random":
        refuse(
            "losses.distillation",
            losses.distillation,
            "it keeps what the first weights know, and random ones know nothing: set "
            "--config.model.init",
        )
    makers = {"rsc.features": config.rsc.features > 0, "losses.style": losses.style > 0}
    of_head = [key for key, is_on in makers.items() if is_on]
    if len(of_head) == 2:
        refuse(
            "rsc.features",
            config.rsc.features,
            f"--config.losses.style={losses.style} changes what the class head reads "
            "too: set one of the two to 0",
        )
    if of_head and losses.fishr > 0:
        refuse(
            "losses.fishr",
            losses.fishr,
            "it needs the class head's gradient, for which that head must read the "
            f"features, and --config.{of_head[0]} changes what it reads: set one of "
            "the two to 0",
        )
    if of_head and losses.classification == 0:
        refuse(
            "losses.classification",
            0,
            f"--config.{of_head[0]} is about the class head: set one of the two to its "
            "default",
        )
    if of_head and config.classification.detached:
        refuse(
            "classification.detached",
            True,
            f"--config.{of_head[0]} trains the encoder by the class head: set one of "
            "the two to its default",
        )


def _check_diversify(config: ConfigDict) -> None:
    diversify, losses = config.diversify, config.losses
    for end in (0, -1):
        if diversify.weakest[end] > diversify.strongest[end]:
            refuse(
                "diversify.weakest",
                diversify.weakest,
                "must not be above "
                f"--config.diversify.strongest='{diversify.strongest}'",
            )
    of_tiles = any(diversify.per_tile) and not diversify.enlarge_tiles
    size = config.data.image_size
    stylized_px = size // (config.jigsaw.grid if of_tiles else 1)
    if "adain" in config_lib.listed(diversify.name) and stylized_px < _LEAST_ADAIN_PX:
        ways = " or set --config.diversify.enlarge_tiles" if of_tiles else ""
        refuse(
            "data.image_size",
            size,
            f"AdaIN gets {stylized_px} px"
            f"{' tiles' if of_tiles else ''} and needs {_LEAST_ADAIN_PX} or more: use "
            f"larger images{ways}",
        )
    of_styles = config.dann.domains == "style"
    for name in ("consistency", "jsd", "teacher", *(("domain",) if of_styles else ())):
        if losses[name] > 0 and not diversify.name:
            refuse(
                f"losses.{name}",
                losses[name],
                "it needs images in changed styles: set --config.diversify.name",
            )
