"""Refuses configurations that cannot work, before anything is loaded or compiled.

Whatever it says names the key, the value and what is allowed, in one line.
"""

import math

from ml_collections import ConfigDict

from jigsaw_shape import config as config_lib
from jigsaw_shape.data.decoding import background_of, parse_background

# Of `config.diversify`: may move over a run.
_MOVING = ("p_ordered", "p_shuffled", "per_tile", "weakest", "strongest", "external")
_LEAST_ADAIN_PX = 16  # two pixels of features

_MOST_PERMUTATIONS = 10_000  # of those that a grid of 3 or 4 has


def check(config: ConfigDict, n_devices: int) -> None:
    """Refuses values that cannot work, with one line that says what to change.

    Args:
      config: A configuration with the fields of `config.default_config`.
      n_devices: Devices over all processes, between which batches are divided.

    Raises:
      ValueError: A value is out of range; names the key, the value, what is allowed.
    """
    _check_numbers(config)
    _check_run(config)
    _check_data(config.data, config.jigsaw.grid)
    _check_batches(config, n_devices)
    _check_augment(config.augment)
    _check_jigsaw(config.jigsaw)
    _check_diversify(config)
    _check_mixstyle(config.mixstyle)
    _check_model(config.model)
    _check_losses(config)
    _check_optim(config.optim)


def _check_run(config: ConfigDict) -> None:
    seeds = {
        "seed": config.seed,
        "data.split_seed": config.data.split_seed,
        "jigsaw.seed": config.jigsaw.seed,
    }
    for key, value in seeds.items():
        _require(
            0 <= value < 2**32, f"config.{key} is {value}: 0 to {2**32 - 1} allowed"
        )
    _require(
        min(config.epochs, config.steps) >= 0
        and (config.epochs > 0) != (config.steps > 0),
        f"config.epochs is {config.epochs} and config.steps is {config.steps}: "
        "set exactly one above 0",
    )
    _at_least(1, "config.eval.every_epochs", config.eval.every_epochs)
    _at_least(1, "config.log.every_steps", config.log.every_steps)
    every = config.log.checkpoint_every_steps
    _at_least(0, "config.log.checkpoint_every_steps", every)


def _check_data(data: ConfigDict, grid: int) -> None:
    _choice("config.data.split", data.split, ("jigen", "domainbed", "official"))
    _choice("config.data.sampling", data.sampling, ("proportional", "balanced"))
    _choice("config.data.cache", data.cache, ("auto", "device", "host", "none"))
    _require(data.stored_px > 0, f"config.data.stored_px is {data.stored_px}: above 0")
    try:
        parse_background(background_of(data))
    except ValueError as error:
        raise ValueError(f"config.data.{error}") from error
    # Before the size, which it divides.
    _require(2 <= grid <= 4, f"config.jigsaw.grid is {grid}: 2, 3 or 4 allowed")
    size = data.image_size
    _require(
        size > 0 and size % grid == 0,
        f"config.data.image_size is {size}, which config.jigsaw.grid = {grid} does not "
        f"divide: use {max(size // grid, 1) * grid} or {(size // grid + 1) * grid}",
    )


def _check_batches(config: ConfigDict, n_devices: int) -> None:
    sizes = {"data": config.data.batch_size, "eval": config.eval.batch_size}
    for key, size in sizes.items():
        _require(
            size > 0 and size % n_devices == 0,
            f"config.{key}.batch_size is {size}, which {n_devices} devices do not "
            f"divide: use a multiple of {n_devices}",
        )


def _check_augment(augment: ConfigDict) -> None:
    for key in ("flip", "tile_grayscale"):
        _share(f"config.augment.{key}", augment[key])
    for key in ("brightness", "contrast", "saturation"):
        _at_least(0, f"config.augment.{key}", augment[key])
    hue = augment.hue
    _require(0 <= hue <= 0.5, f"config.augment.hue is {hue}: 0 to 0.5 turns allowed")
    low, high = _pair("config.augment.crop_scale", augment.crop_scale)
    _require(
        0 < low <= high <= 1,
        f"config.augment.crop_scale is ({low}, {high}): 0 < smallest <= largest <= 1",
    )
    low, high = _pair("config.augment.crop_ratio", augment.crop_ratio)
    _require(
        0 < low <= high,
        f"config.augment.crop_ratio is ({low}, {high}): 0 < smallest <= largest",
    )


def _check_jigsaw(jigsaw: ConfigDict) -> None:
    n_most = min(math.factorial(jigsaw.grid**2) - 1, _MOST_PERMUTATIONS)
    _require(
        1 <= jigsaw.n_permutations <= n_most,
        f"config.jigsaw.n_permutations is {jigsaw.n_permutations}: a {jigsaw.grid} x "
        f"{jigsaw.grid} grid allows 1 to {n_most} without the identity",
    )
    _share("config.jigsaw.bias_whole_image", jigsaw.bias_whole_image)


def _check_diversify(config: ConfigDict) -> None:
    settings = config.diversify
    for key in _MOVING:
        values = settings[key]
        _require(
            isinstance(values, tuple | list) and len(values) in (1, 2),
            f"config.diversify.{key} is {values!r}: one number, or two, such as "
            f"--config.diversify.{key}='(0.9, 0.1)'",
        )
        for value in values:
            _share(f"config.diversify.{key}", value)
    ends = zip(
        (settings.weakest[0], settings.weakest[-1]),
        (settings.strongest[0], settings.strongest[-1]),
        strict=True,
    )
    _require(
        all(low <= high for low, high in ends),
        f"config.diversify.weakest is {settings.weakest}, above "
        f"config.diversify.strongest = {settings.strongest}",
    )
    _share("config.diversify.until", settings.until)
    _at_least(1, "config.diversify.n_styles", settings.n_styles)
    of_tiles = any(settings.per_tile) and not settings.enlarge_tiles
    uses_adain = "adain" in config_lib.listed(settings.name)
    stylized_px = config.data.image_size // (config.jigsaw.grid if of_tiles else 1)
    _require(
        not uses_adain or stylized_px >= _LEAST_ADAIN_PX,
        f"config.data.image_size is {config.data.image_size}, so that AdaIN gets "
        f"{stylized_px} px{' tiles' * of_tiles}: {_LEAST_ADAIN_PX} or more allowed"
        + "; or set config.diversify.enlarge_tiles"
        * of_tiles,
    )


def _check_mixstyle(mixstyle: ConfigDict) -> None:
    _share("config.mixstyle.p", mixstyle.p)
    _require(mixstyle.alpha > 0, f"config.mixstyle.alpha is {mixstyle.alpha}: above 0")
    _choice("config.mixstyle.mix", mixstyle.mix, ("random", "crossdomain"))


def _check_model(model: ConfigDict) -> None:
    _choice("config.model.dtype", model.dtype, ("float32", "bfloat16"))
    for key in ("mean", "std"):
        values = model[key]
        _require(
            len(values) in (0, 3) and (key == "mean" or all(v > 0 for v in values)),
            f"config.model.{key} is {values}: three numbers"
            f"{', above 0' * (key == 'std')}, or () for what the weights expect",
        )


def _check_losses(config: ConfigDict) -> None:
    dann, losses = config.dann, config.losses
    for name, weight in losses.items():
        _at_least(0, f"config.losses.{name}", weight)
    _require(
        losses.classification > 0,
        f"config.losses.classification is {losses.classification}: above 0, as every "
        "evaluation asks the class head",
    )
    _choice("config.dann.domains", dann.domains, ("source", "style"))
    needing = {
        "config.losses.consistency": losses.consistency,
        "config.losses.domain": losses.domain * (dann.domains == "style"),
    }
    for key, weight in needing.items():
        _require(
            weight <= 0 or bool(config.diversify.name),
            f"{key} is {weight}, for which images have to be diversified: set "
            "config.diversify.name",
        )
    _require(
        all(isinstance(n, int) and n >= 1 for n in dann.hidden),
        f"config.dann.hidden is {dann.hidden}: widths, such as '(1024, 1024)'",
    )
    for key in ("gamma", "strongest"):
        _at_least(0, f"config.dann.{key}", dann[key])
    smoothing = config.classification.label_smoothing
    _require(
        0 <= smoothing < 1,
        f"config.classification.label_smoothing is {smoothing}: 0 to below 1",
    )


def _check_optim(optim: ConfigDict) -> None:
    _choice("config.optim.name", optim.name, ("sgd", "adamw"))
    _choice("config.optim.schedule", optim.schedule, ("step", "cosine", "constant"))
    _require(optim.lr > 0, f"config.optim.lr is {optim.lr}: above 0")
    _require(
        0 <= optim.momentum < 1,
        f"config.optim.momentum is {optim.momentum}: 0 to below 1",
    )
    for key in ("weight_decay", "step_factor"):
        _at_least(0, f"config.optim.{key}", optim[key])
    _require(
        0 <= optim.ema_decay < 1,
        f"config.optim.ema_decay is {optim.ema_decay}: 0 (off) to below 1",
    )
    _share("config.optim.warmup", optim.warmup)
    for share in optim.step_at:
        _share("config.optim.step_at", share)


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise ValueError(message)


def _check_numbers(config: ConfigDict) -> None:
    """Refuses what is not a finite number where the default is one, or several."""
    defaults = config_lib.flatten(config_lib.default_config().to_dict())
    for key, value in config_lib.flatten(config.to_dict()).items():
        usual = defaults.get(key)
        several = isinstance(usual, tuple)
        if not several and (isinstance(usual, bool | str) or usual is None):
            continue
        numbers = value if several and isinstance(value, tuple | list) else (value,)
        for number in numbers:
            _require(
                isinstance(number, int | float) and math.isfinite(number),
                f"config.{key} is {value!r}: "
                + ("numbers, such as '(0.8, 1.0)'" if several else "a finite number"),
            )


def _at_least(least: int, key: str, value: float) -> None:
    _require(value >= least, f"{key} is {value}: {least} or more allowed")


def _choice(key: str, value: str, allowed: tuple[str, ...]) -> None:
    _require(value in allowed, f"{key} is {value!r}: {' | '.join(allowed)} allowed")


def _share(key: str, value: float) -> None:
    _require(0 <= value <= 1, f"{key} is {value}: 0 to 1 allowed")


def _pair(key: str, value) -> tuple[float, float]:
    _require(
        isinstance(value, tuple | list) and len(value) == 2,
        f"{key} is {value!r}: two numbers, such as --{key}='(0.8, 1.0)'",
    )
    return value
