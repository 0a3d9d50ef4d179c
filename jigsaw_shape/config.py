"""The configuration: every field with its meaning, and the checks at the door.

A file in `configs/` starts from `default_config()`, sets what its data set needs and
applies a preset from `jigsaw_shape.presets`. `check(config)` refuses what cannot work,
before anything is loaded or compiled.
"""

import math
import pathlib

from ml_collections import ConfigDict

# Of `config.diversify`: may move over a run.
MOVING = ("p_ordered", "p_shuffled", "per_tile", "weakest", "strongest", "external")
LEAST_ADAIN_PX = 16  # two pixels of features

MOST_PERMUTATIONS = 10_000  # of those that a grid of 3 or 4 has


def default_config() -> ConfigDict:
    """Returns JiGen's recipe (Carlucci et al., CVPR 2019) for a ResNet-18, unpresetted.

    Durations are in epochs (a pass over the source training images), or in steps where
    `steps` is set instead.
    """
    config = ConfigDict()
    config.preset = "erm"  # a name for rows and folders; set by the preset itself
    config.workdir = ""  # "": runs/{data.name}-{preset}-{target}-s{seed}
    config.seed = 0  # decides initial weights, order of the data, every augmentation
    config.epochs = 30  # passes over the source training images; 0 where steps is set
    config.steps = 0  # exactly one of epochs and steps is above 0

    config.data = ConfigDict()
    config.data.name = "pacs"  # shapes, or a folder's: pacs | vlcs | ... | your own
    config.data.source_dir = ""  # the folder as downloaded; "": $PACS_DIR and the like
    config.data.data_dir = ""  # the prepared data; "": $TFDS_DATA_DIR or TFDS's default
    config.data.target = "sketch"  # the held-out domain
    config.data.sources = ""  # "photo,cartoon"; "": every domain but the target
    config.data.split = "jigen"  # how validation is held out: jigen|domainbed|official
    config.data.split_seed = 0  # which images are held out
    config.data.stored_px = 227  # decoded images are kept as squares of this side
    config.data.image_size = 222  # what the network sees; a multiple of jigsaw.grid
    config.data.batch_size = 128  # over all devices and processes
    config.data.sampling = "proportional"  # each image once an epoch | "balanced":
    #   every source domain equally often
    config.data.cache = "auto"  # auto | device | host | none: where images are kept

    config.augment = ConfigDict()
    config.augment.crop_scale = (0.8, 1.0)  # area of the random crop
    config.augment.crop_ratio = (3 / 4, 4 / 3)  # width / height of the random crop
    config.augment.flip = 0.5  # probability of a horizontal flip
    config.augment.brightness = 0.4  # colour jitter, half-widths of the factors
    config.augment.contrast = 0.4
    config.augment.saturation = 0.4
    config.augment.hue = 0.4  # in turns, at most 0.5
    config.augment.tile_grayscale = 0.1  # probability that a tile turns grey

    config.jigsaw = ConfigDict()
    config.jigsaw.grid = 3  # tiles per side, 2 to 4
    config.jigsaw.n_permutations = 30  # K; the head has K + 1 classes, 0 = unshuffled
    config.jigsaw.seed = 0  # of the permutation set
    config.jigsaw.bias_whole_image = 1.0  # probability that an image stays whole
    config.jigsaw.classify_shuffled = True  # shuffled images count in the class loss

    config.diversify = ConfigDict()  # changes style, keeps shape
    config.diversify.name = ""  # "": none; adain | fourier | randconv | colour
    # One number, or two: at the first step and at the last, linear in between.
    config.diversify.p_ordered = (0.0,)  # probability for an ordered image ...
    config.diversify.p_shuffled = (0.0,)  # ... and for a shuffled one
    config.diversify.per_tile = (0.0,)  # share of the latter with a style for each tile
    config.diversify.weakest = (0.0,)  # strength, drawn uniformly between these: 0 to 1
    config.diversify.strongest = (1.0,)
    config.diversify.external = (0.0,)  # share of styles from `styles`; the others are
    #   images of other source domains in the batch
    config.diversify.until = 1.0  # share of the run after which nothing is diversified
    config.diversify.styles = "pack"  # a folder of images, or pack: the shipped one
    config.diversify.n_styles = 1000  # at most, a seeded choice of them
    config.diversify.stylizer = "shipped"  # adain's: shipped | a file of `stylize fit`
    #   | a folder with vgg_normalised.pth and decoder.pth
    config.diversify.enlarge_tiles = False  # stylize a tile at the image's size

    config.dann = ConfigDict()  # the term losses.domain: features that hide domains
    config.dann.domains = "source"  # to be told apart: source | style: natural against
    #   diversified images
    config.dann.hidden = (1024, 1024)  # widths of the domain classifier
    config.dann.gamma = 10.0  # of the reversal's ramp, 2 / (1 + exp(-gamma p)) - 1 ...
    config.dann.strongest = 1.0  # ... times this

    config.mixstyle = ConfigDict()  # mixes features' statistics inside the encoder
    config.mixstyle.stages = ""  # after which: "layer1,layer2"; "": none; "usual": the
    #   paper's, or those of like depth
    config.mixstyle.p = 0.5  # probability, for all examples of a device together
    config.mixstyle.alpha = 0.1  # of the Beta distribution of the weights
    config.mixstyle.mix = "random"  # random | crossdomain

    config.model = ConfigDict()
    config.model.encoder = "resnet18"  # a name in jigsaw_shape.models.ENCODERS
    config.model.init = "random"  # random | torchvision:NAME | timm:NAME | hub:ID |
    #   pretrained:NAME | a file of weights | a run's folder, perhaps with @last, @val
    config.model.init_skip = ""  # what of it is not read: "dense*,*.bias"
    config.model.mean = ()  # subtracted from RGB in [0, 1]; (): as the weights expect
    config.model.std = ()  # what the difference is divided by
    config.model.freeze_norm = False  # BatchNorm uses its running statistics throughout
    config.model.dtype = "float32"  # of the computation: float32 | bfloat16

    config.losses = ConfigDict()  # weights; a term of weight 0 is not computed
    config.losses.classification = 1.0
    config.losses.jigsaw = 0.0
    config.losses.domain = 0.0  # of the domain classifier behind a reversed gradient
    config.losses.consistency = 0.0  # of answers to an image and to its diversified
    #   form: above 0, every image is seen in both

    config.classification = ConfigDict()
    config.classification.label_smoothing = 0.0  # share spread over all classes

    config.optim = ConfigDict()
    config.optim.name = "sgd"  # sgd | adamw
    config.optim.lr = 1e-3
    config.optim.momentum = 0.9  # sgd only
    config.optim.nesterov = False  # sgd only
    config.optim.weight_decay = 5e-4  # sgd: added to the gradient; adamw: decoupled
    config.optim.decay_kernels_only = False  # spare biases and BatchNorm
    config.optim.schedule = "step"  # step | cosine | constant
    config.optim.step_at = (0.8,)  # shares of the run at which lr is multiplied ...
    config.optim.step_factor = 0.1  # ... by this
    config.optim.warmup = 0.0  # share of the run in which lr rises linearly from 0
    config.optim.ema_decay = 0.0  # above 0: evaluate this moving average of weights

    config.eval = ConfigDict()
    config.eval.batch_size = 256  # over all devices and processes
    config.eval.every_epochs = 1  # with steps: every run is split into 10 evaluations

    config.log = ConfigDict()
    config.log.every_steps = 20  # a row, a TensorBoard point and a check of the losses
    config.log.checkpoint_every_steps = 0  # besides each evaluation; 0: only there
    config.log.tensorboard = True
    return config


def workdir(config: ConfigDict) -> pathlib.Path:
    """Returns the directory: `config.workdir`, or a name that tells runs apart."""
    name = f"{config.data.name}-{config.preset}-{config.data.target}-s{config.seed}"
    return pathlib.Path(config.workdir or pathlib.Path("runs") / name)


def source_names(config: ConfigDict) -> tuple[str, ...]:
    """Returns `config.data.sources` as a tuple; empty means all but the target."""
    return tuple(s.strip() for s in config.data.sources.split(",") if s.strip())


def check(config: ConfigDict, n_devices: int) -> None:
    """Refuses values that cannot work, with one line that says what to change.

    Args:
      config: A configuration with the fields of `default_config`.
      n_devices: Devices over all processes, between which batches are divided.

    Raises:
      ValueError: A value is out of range; names the key, the value, what is allowed.
    """
    data, jigsaw, optim = config.data, config.jigsaw, config.optim
    _check_numbers(config)
    for key in ("seed", "data.split_seed", "jigsaw.seed"):
        value = config
        for part in key.split("."):
            value = value[part]
        _require(
            0 <= value < 2**32, f"config.{key} is {value}: 0 to {2**32 - 1} allowed"
        )
    _require(
        min(config.epochs, config.steps) >= 0
        and (config.epochs > 0) != (config.steps > 0),
        f"config.epochs is {config.epochs} and config.steps is {config.steps}: "
        "set exactly one above 0",
    )
    _choice("config.data.split", data.split, ("jigen", "domainbed", "official"))
    _choice("config.data.sampling", data.sampling, ("proportional", "balanced"))
    _choice("config.data.cache", data.cache, ("auto", "device", "host", "none"))
    _choice("config.model.dtype", config.model.dtype, ("float32", "bfloat16"))
    for key in ("mean", "std"):
        values = config.model[key]
        _require(
            len(values) in (0, 3) and (key == "mean" or all(v > 0 for v in values)),
            f"config.model.{key} is {values}: three numbers"
            f"{', above 0' * (key == 'std')}, or () for what the weights expect",
        )
    _choice("config.optim.name", optim.name, ("sgd", "adamw"))
    _choice("config.optim.schedule", optim.schedule, ("step", "cosine", "constant"))
    _require(
        2 <= jigsaw.grid <= 4, f"config.jigsaw.grid is {jigsaw.grid}: 2, 3 or 4 allowed"
    )
    n_most = min(math.factorial(jigsaw.grid**2) - 1, MOST_PERMUTATIONS)
    _require(
        1 <= jigsaw.n_permutations <= n_most,
        f"config.jigsaw.n_permutations is {jigsaw.n_permutations}: a {jigsaw.grid} x "
        f"{jigsaw.grid} grid allows 1 to {n_most} without the identity",
    )
    size, grid = data.image_size, jigsaw.grid
    _require(
        size > 0 and size % grid == 0,
        f"config.data.image_size is {size}, which config.jigsaw.grid = {grid} does not "
        f"divide: use {max(size // grid, 1) * grid} or {(size // grid + 1) * grid}",
    )
    _require(data.stored_px > 0, f"config.data.stored_px is {data.stored_px}: above 0")
    for key, size in (("data", data.batch_size), ("eval", config.eval.batch_size)):
        _require(
            size > 0 and size % n_devices == 0,
            f"config.{key}.batch_size is {size}, which {n_devices} devices do not "
            f"divide: use a multiple of {n_devices}",
        )
    for key in ("flip", "tile_grayscale"):
        _share(f"config.augment.{key}", config.augment[key])
    _share("config.jigsaw.bias_whole_image", jigsaw.bias_whole_image)
    for key in ("brightness", "contrast", "saturation"):
        value = config.augment[key]
        _require(value >= 0, f"config.augment.{key} is {value}: 0 or more allowed")
    hue = config.augment.hue
    _require(0 <= hue <= 0.5, f"config.augment.hue is {hue}: 0 to 0.5 turns allowed")
    low, high = _pair("config.augment.crop_scale", config.augment.crop_scale)
    _require(
        0 < low <= high <= 1,
        f"config.augment.crop_scale is ({low}, {high}): 0 < smallest <= largest <= 1",
    )
    low, high = _pair("config.augment.crop_ratio", config.augment.crop_ratio)
    _require(
        0 < low <= high,
        f"config.augment.crop_ratio is ({low}, {high}): 0 < smallest <= largest",
    )
    _check_diversify(config)
    _check_terms(config)
    weights = dict(config.losses)
    for name, weight in weights.items():
        _require(weight >= 0, f"config.losses.{name} is {weight}: 0 or more allowed")
    _require(any(weights.values()), "every weight in config.losses is 0: raise one")
    _require(optim.lr > 0, f"config.optim.lr is {optim.lr}: above 0")
    _require(
        0 <= optim.momentum < 1,
        f"config.optim.momentum is {optim.momentum}: 0 to below 1",
    )
    for key in ("weight_decay", "step_factor"):
        _require(optim[key] >= 0, f"config.optim.{key} is {optim[key]}: 0 or more")
    _require(
        0 <= optim.ema_decay < 1,
        f"config.optim.ema_decay is {optim.ema_decay}: 0 (off) to below 1",
    )
    _share("config.optim.warmup", optim.warmup)
    for share in optim.step_at:
        _share("config.optim.step_at", share)
    for key in ("every_steps", "checkpoint_every_steps"):
        value = config.log[key]
        least = 1 if key == "every_steps" else 0
        _require(value >= least, f"config.log.{key} is {value}: {least} or more")
    every = config.eval.every_epochs
    _require(every >= 1, f"config.eval.every_epochs is {every}: 1 or more allowed")


def _check_terms(config: ConfigDict) -> None:
    dann, losses = config.dann, config.losses
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
        _require(dann[key] >= 0, f"config.dann.{key} is {dann[key]}: 0 or more")
    smoothing = config.classification.label_smoothing
    _require(
        0 <= smoothing < 1,
        f"config.classification.label_smoothing is {smoothing}: 0 to below 1",
    )


def _check_diversify(config: ConfigDict) -> None:
    settings = config.diversify
    for key in MOVING:
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
    n_styles = settings.n_styles
    _require(n_styles >= 1, f"config.diversify.n_styles is {n_styles}: 1 or more")
    of_tiles = any(settings.per_tile) and not settings.enlarge_tiles
    stylized_px = config.data.image_size // (config.jigsaw.grid if of_tiles else 1)
    _require(
        settings.name != "adain" or stylized_px >= LEAST_ADAIN_PX,
        f"config.data.image_size is {config.data.image_size}, so that AdaIN gets "
        f"{stylized_px} px{' tiles' * of_tiles}: {LEAST_ADAIN_PX} or more allowed"
        + "; or set config.diversify.enlarge_tiles"
        * of_tiles,
    )
    mixstyle = config.mixstyle
    _share("config.mixstyle.p", mixstyle.p)
    _require(mixstyle.alpha > 0, f"config.mixstyle.alpha is {mixstyle.alpha}: above 0")
    _choice("config.mixstyle.mix", mixstyle.mix, ("random", "crossdomain"))


def flatten(tree: dict, prefix: str = "") -> dict:
    """Returns fields on one level: `{"optim": {"lr": 1}}` as `{"optim.lr": 1}`."""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise ValueError(message)


def _check_numbers(config: ConfigDict) -> None:
    """Refuses what is not a finite number where the default is one, or several."""
    defaults = flatten(default_config().to_dict())
    for key, value in flatten(config.to_dict()).items():
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
