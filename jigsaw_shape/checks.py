"""Refuses configurations that cannot work, before anything is loaded or compiled.

A refusal is one line: the field as it is typed, its value, and what is allowed.
"""

import math
from typing import Any

from ml_collections import ConfigDict

from jigsaw_shape import config as config_lib
from jigsaw_shape.data.decoding import background_of, parse_background
from jigsaw_shape.data.unlabelled import DOMAIN as UNLABELLED

# What each field takes: one of these words, or numbers from the least to the most.
_CHOICES = {
    "data.split": ("jigen", "domainbed", "official"),
    "data.setting": ("generalization", "adaptation"),
    "data.sampling": ("proportional", "balanced"),
    "data.cache": ("auto", "device", "host", "none"),
    "jigsaw.view": ("instead", "beside"),
    "jigsaw.head": ("pooled", "spatial"),
    "jigsaw.encode": ("image", "tiles"),
    "jigsaw.answer": ("order", "positions"),
    "averaging.name": ("", "sma", "swa", "segments"),
    "mixing.name": ("", "mixup", "cutmix"),
    "mixstyle.name": ("mixstyle", "efdmix", "dsu", "padain"),
    "mixstyle.mix": ("random", "crossdomain"),
    "dann.domains": ("source", "style"),
    "model.dtype": ("float32", "bfloat16"),
    "optim.name": ("sgd", "adamw"),
    "optim.sharpness": ("", "sam", "sagm"),
    "optim.schedule": ("step", "cosine", "constant"),
}
_SEED = (0, 2**32 - 1)
_SHARE = (0, 1)
_LEAST_0 = (0, math.inf)
_LEAST_1 = (1, math.inf)
_ABOVE_0 = (math.ulp(0.0), math.inf)
_BELOW_1 = (0, math.nextafter(1, 0))
_ANY = (-math.inf, math.inf)
_RANGES = {
    "seed": _SEED,
    "data.split_seed": _SEED,
    "jigsaw.seed": _SEED,
    "epochs": _LEAST_0,
    "steps": _LEAST_0,
    "eval.every_epochs": _LEAST_1,
    "log.every_steps": _LEAST_1,
    "log.checkpoint_every_steps": _LEAST_0,
    "data.stored_px": _LEAST_1,
    "jigsaw.grid": (2, 4),
    "jigsaw.bias_whole_image": _SHARE,
    "jigsaw.shuffled": _SHARE,
    "jigsaw.orders": _SHARE,
    "jigsaw.hidden": _LEAST_0,
    "jigsaw.orders_per_image": _LEAST_1,
    "jigsaw.gap": (0, 0.75),  # a quarter of a tile's side is left
    "augment.flip": _SHARE,
    "augment.tile_grayscale": _SHARE,
    "augment.brightness": _LEAST_0,
    "augment.contrast": _LEAST_0,
    "augment.saturation": _LEAST_0,
    "augment.hue": (0, 0.5),
    "diversify.p_ordered": _SHARE,
    "diversify.p_shuffled": _SHARE,
    "diversify.per_tile": _SHARE,
    "diversify.weakest": _SHARE,
    "diversify.strongest": _SHARE,
    "diversify.external": _SHARE,
    "diversify.until": _SHARE,
    "diversify.n_styles": _LEAST_1,
    "averaging.start": _BELOW_1,
    "averaging.every": _LEAST_0,
    "mixing.alpha": _ABOVE_0,
    "mixstyle.p": _SHARE,
    "mixstyle.alpha": _ABOVE_0,
    "rsc.features": _BELOW_1,
    "rsc.images": _SHARE,
    "sagnet.adversary": _LEAST_0,
    "teacher.temperature": _ABOVE_0,
    "teacher.momentum": _BELOW_1,
    "teacher.ramp": _SHARE,
    "dann.hidden": _LEAST_1,
    "dann.gamma": _LEAST_0,
    "dann.strongest": _LEAST_0,
    "model.std": _ABOVE_0,
    "invariance.start": _SHARE,
    "invariance.early_weight": _LEAST_0,
    "invariance.eta": _LEAST_0,
    "invariance.decay": _BELOW_1,
    "classification.label_smoothing": _BELOW_1,
    "optim.lr": _ABOVE_0,
    "optim.momentum": _BELOW_1,
    "optim.weight_decay": _LEAST_0,
    "optim.step_factor": _LEAST_0,
    "optim.step_at": _SHARE,
    "optim.warmup": _SHARE,
    "optim.heads_first": _BELOW_1,
    "optim.sharpness_rho": _LEAST_0,
    "optim.sharpness_alpha": _LEAST_0,
    "optim.ema_decay": _BELOW_1,
}
# How many numbers a field has, where that is not any number of them.
_COUNTS = {
    "augment.crop_scale": (2,),
    "augment.crop_ratio": (2,),
    "model.mean": (0, 3),
    "model.std": (0, 3),
    # One number stays; of two the field moves from the first to the second.
    "jigsaw.gap": (1, 2),
    "jigsaw.shuffled": (1, 2),
    "jigsaw.orders": (1, 2),
    "diversify.p_ordered": (1, 2),
    "diversify.p_shuffled": (1, 2),
    "diversify.per_tile": (1, 2),
    "diversify.weakest": (1, 2),
    "diversify.strongest": (1, 2),
    "diversify.external": (1, 2),
}
# Losses that learn nothing from images without labels.
_OF_LABELS = (
    *("classification", "coral", "mmd", "cdann", "vrex", "irm", "groupdro", "fishr"),
    *("sd", "style"),
)
# Losses that read the class head's answers.
_OF_CLASSES = (*_OF_LABELS, "consistency")
_EXAMPLES = {1: "'(0.8,)'", 2: "'(0.8, 1.0)'", 3: "'(0.5, 0.5, 0.5)'"}
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
        _check_field(key, value, defaults.get(key))
    _check_folders(config)
    _check_length(config)
    _check_sizes(config, n_devices)
    _check_ordered("augment.crop_scale", config, most=1)
    _check_ordered("augment.crop_ratio", config)
    _check_jigsaw(config, n_devices)
    _check_diversify(config)
    _check_unlabelled(config)
    _check_class_head(config)
    if config.averaging.name and config.optim.ema_decay > 0:
        _refuse(
            "averaging.name",
            config.averaging.name,
            f"a run keeps one average: set --config.optim.ema_decay="
            f"{config.optim.ema_decay} to 0",
        )
    try:
        parse_background(background_of(config.data))
    except ValueError as error:
        raise ValueError(f"--config.data.{error}") from error


def _refuse(key: str, value: Any, allowed: str) -> None:
    shown = f"'{value}'" if isinstance(value, tuple | list) else value
    raise ValueError(f"--config.{key}={shown}: {allowed}")


def _check_field(key: str, value: Any, default: Any) -> None:
    """Checks one field by itself: numbers are finite, in range, as many as asked."""
    if key in _CHOICES and value not in _CHOICES[key]:
        words = (word or "'' for none" for word in _CHOICES[key])
        _refuse(key, value, f"use {' | '.join(words)}")
    is_loss = key.startswith("losses.")  # of a loss of one's own, without a default
    if isinstance(default, bool | str) or (default is None and not is_loss):
        return
    several = isinstance(default, tuple)
    numbers = value if several and isinstance(value, tuple | list) else (value,)
    counts = _COUNTS.get(key)
    if counts and not (isinstance(value, tuple | list) and len(value) in counts):
        allowed = " or ".join(str(count) for count in counts)
        _refuse(key, value, f"use {allowed} numbers, such as {_EXAMPLES[counts[-1]]}")
    for number in numbers:
        if not isinstance(number, int | float) or not math.isfinite(number):
            kind = f"numbers, such as {_EXAMPLES[2]}" if several else "a finite number"
            _refuse(key, value, f"use {kind}")
        least, most = _RANGES.get(key, _LEAST_0 if is_loss else _ANY)
        if not least <= number <= most:
            _refuse(key, value, _words(least, most))


def _words(least: float, most: float) -> str:
    """Returns a range in words."""
    if (least, most) == _ABOVE_0:
        return "must be above 0"
    if (least, most) == _BELOW_1:
        return "use 0 to below 1"
    if most == math.inf:
        return f"use {least} or more"
    return f"use {least} to {most}"


def _check_folders(config):
    for key in ("workdir", "data.data_dir"):
        value = config_lib.flatten(config.to_dict())[key]
        if "://" in value:
            raise ValueError(
                f"--config.{key}={value}: must be a folder on a disk; "
                "docs/scaling.md says how to keep one in a bucket"
            )


def _check_length(config: ConfigDict) -> None:
    if (config.epochs > 0) == (config.steps > 0):
        _refuse(
            "epochs",
            config.epochs,
            f"with --config.steps={config.steps}: set exactly one of the two above 0",
        )


def _check_sizes(config: ConfigDict, n_devices: int) -> None:
    grid, size = config.jigsaw.grid, config.data.image_size
    if size <= 0 or size % grid:
        near = f"{max(size // grid, 1) * grid} or {(size // grid + 1) * grid}"
        _refuse(
            "data.image_size",
            size,
            f"--config.jigsaw.grid={grid} must divide it: use {near}",
        )
    for key in ("data", "eval"):
        size = config[key].batch_size
        if size <= 0 or size % n_devices:
            _refuse(
                f"{key}.batch_size",
                size,
                f"use a multiple of {n_devices}, the number of devices",
            )


def _check_ordered(key: str, config: ConfigDict, most: float = math.inf) -> None:
    room, field = key.split(".")
    low, high = values = config[room][field]
    if not 0 < low <= high <= most:
        limit = "" if most == math.inf else f" <= {most}"
        _refuse(key, values, f"use 0 < smallest <= largest{limit}")


def _check_jigsaw(config: ConfigDict, n_devices: int) -> None:
    jigsaw = config.jigsaw
    most = min(math.factorial(jigsaw.grid**2) - 1, _MOST_PERMUTATIONS)
    if not 1 <= jigsaw.n_permutations <= most:
        _refuse(
            "jigsaw.n_permutations",
            jigsaw.n_permutations,
            f"use 1 to {most} for {jigsaw.grid} x {jigsaw.grid} tiles",
        )
    n_beside = (1 - jigsaw.bias_whole_image) * config.data.batch_size / n_devices
    if jigsaw.view == "beside" and round(n_beside) < 1:
        _refuse(
            "jigsaw.bias_whole_image",
            jigsaw.bias_whole_image,
            "with --config.jigsaw.view=beside it leaves no puzzle in a device's part "
            "of a batch: lower it, such as to 0",
        )
    if jigsaw.encode == "tiles" and jigsaw.view != "beside":
        _refuse(
            "jigsaw.encode",
            "tiles",
            "tiles that are encoded apart make no image to classify: set "
            "--config.jigsaw.view=beside too",
        )
    if jigsaw.orders_per_image > 1 and jigsaw.encode != "tiles":
        _refuse(
            "jigsaw.orders_per_image",
            jigsaw.orders_per_image,
            "a picture that is encoded whole has one order: set "
            "--config.jigsaw.encode=tiles too",
        )
    if jigsaw.all_permutations and tuple(jigsaw.orders) != (1.0,):
        _refuse(
            "jigsaw.orders",
            jigsaw.orders,
            "with --config.jigsaw.all_permutations there is no set: use '(1.0,)'",
        )
    if jigsaw.all_permutations and jigsaw.answer != "positions":
        _refuse(
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
            _refuse("data.unlabelled", "", "name the folders: DIR, or DIR,DIR")
        if not classless:
            _refuse(
                "losses.classification",
                losses.classification,
                "images without labels teach no class: set it to 0, or use the preset "
                "selfsup",
            )
        if data.target:
            _refuse(
                "data.target",
                data.target,
                "images without labels hold out no domain: leave it empty",
            )
    elif not data.target:
        _refuse("data.target", "", "name the domain to hold out")
    needs = "set --config.losses.jigsaw above 0, or use a preset such as puzzle"
    if classless and losses.jigsaw == 0:
        _refuse(
            "losses.classification",
            losses.classification,
            f"without classes a run is selected by the puzzles that it solves: {needs}",
        )
    for name, weight in losses.items():
        if classless and weight > 0 and name in _OF_CLASSES:
            _refuse(
                f"losses.{name}",
                weight,
                "it reads the answers of the class head: set "
                "--config.losses.classification above 0, or this to 0",
            )
    if any(w > 0 and name not in _OF_LABELS for name, w in losses.items()):
        return
    if data.unlabelled:
        _refuse(
            "data.unlabelled",
            data.unlabelled,
            f"no loss learns without labels: {needs}",
        )
    if data.setting == "adaptation":
        _refuse("data.setting", "adaptation", f"no loss learns without labels: {needs}")
    if config.classification.detached:
        _refuse("classification.detached", True, f"nothing trains the encoder: {needs}")


def _check_class_head(config: ConfigDict) -> None:
    """Refuses methods that cannot share the images or the class head."""
    losses, mixing = config.losses, config.mixing.name
    for name in ("jigsaw", "consistency", "jsd", "teacher"):
        if mixing and losses[name] > 0:
            _refuse(
                "mixing.name",
                mixing,
                f"--config.losses.{name}={losses[name]} is of single images: set one "
                "of the two to 0 or ''",
            )
    makers = {"rsc.features": config.rsc.features > 0, "losses.style": losses.style > 0}
    of_head = [key for key, is_on in makers.items() if is_on]
    if len(of_head) == 2:
        _refuse(
            "rsc.features",
            config.rsc.features,
            f"--config.losses.style={losses.style} changes what the class head reads "
            "too: set one of the two to 0",
        )
    if of_head and losses.classification == 0:
        _refuse(
            "losses.classification",
            0,
            f"--config.{of_head[0]} is about the class head: set one of the two to its "
            "default",
        )
    if of_head and config.classification.detached:
        _refuse(
            "classification.detached",
            True,
            f"--config.{of_head[0]} trains the encoder by the class head: set one of "
            "the two to its default",
        )


def _check_diversify(config: ConfigDict) -> None:
    diversify, losses = config.diversify, config.losses
    for end in (0, -1):
        if diversify.weakest[end] > diversify.strongest[end]:
            _refuse(
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
        _refuse(
            "data.image_size",
            size,
            f"AdaIN gets {stylized_px} px"
            f"{' tiles' if of_tiles else ''} and needs {_LEAST_ADAIN_PX} or more: use "
            f"larger images{ways}",
        )
    of_styles = config.dann.domains == "style"
    for name in ("consistency", "jsd", "teacher", *(("domain",) if of_styles else ())):
        if losses[name] > 0 and not diversify.name:
            _refuse(
                f"losses.{name}",
                losses[name],
                "it needs images in changed styles: set --config.diversify.name",
            )
