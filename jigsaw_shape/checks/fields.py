"""What each field by itself may be: a word of a few, or numbers in a range."""

import math
from typing import Any

# What each field takes: one of these words, or numbers from the least to the most.
_CHOICES = {
    "data.split": ("jigen", "domainbed", "official", "none"),
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
    "averaging.trained": _SHARE,
    "mixing.alpha": _ABOVE_0,
    "mixstyle.p": _SHARE,
    "mixstyle.alpha": _ABOVE_0,
    "edges.grid": _LEAST_1,
    "edges.hidden": _LEAST_1,
    "edges.cells": _LEAST_1,
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
    "optim.accumulate": _LEAST_1,
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
_EXAMPLES = {1: "'(0.8,)'", 2: "'(0.8, 1.0)'", 3: "'(0.5, 0.5, 0.5)'"}


def check_field(key: str, value: Any, default: Any) -> None:
    """Checks one field by itself: numbers are finite, in range, as many as asked."""
    if key in _CHOICES and value not in _CHOICES[key]:
        words = (word or "'' for none" for word in _CHOICES[key])
        refuse(key, value, f"use {' | '.join(words)}")
    is_loss = key.startswith("losses.")  # of a loss of one's own, without a default
    if isinstance(default, bool | str) or (default is None and not is_loss):
        return
    several = isinstance(default, tuple)
    numbers = value if several and isinstance(value, tuple | list) else (value,)
    counts = _COUNTS.get(key)
    if counts and not (isinstance(value, tuple | list) and len(value) in counts):
        allowed = " or ".join(str(count) for count in counts)
        refuse(key, value, f"use {allowed} numbers, such as {_EXAMPLES[counts[-1]]}")
    for number in numbers:
        if not isinstance(number, int | float) or not math.isfinite(number):
            kind = f"numbers, such as {_EXAMPLES[2]}" if several else "a finite number"
            refuse(key, value, f"use {kind}")
        least, most = _RANGES.get(key, _LEAST_0 if is_loss else _ANY)
        if not least <= number <= most:
            refuse(key, value, _words(least, most))


def refuse(key: str, value: Any, allowed: str) -> None:
    """Raises the refusal of a value; `allowed` says what to do."""
    shown = f"'{value}'" if isinstance(value, tuple | list) else value
    raise ValueError(f"--config.{key}={shown}: {allowed}")


def _words(least: float, most: float) -> str:
    """Returns a range in words."""
    if (least, most) == _ABOVE_0:
        return "must be above 0"
    if (least, most) == _BELOW_1:
        return "use 0 to below 1"
    if most == math.inf:
        return f"use {least} or more"
    return f"use {least} to {most}"
