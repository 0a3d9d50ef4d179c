"""Random search over declared ranges, as DomainBed does it.

Gulrajani & Lopez-Paz, ICLR 2021, appendix D: trial 0 is the configuration as it is; any
other trial draws every range anew for each seed, and the one that is best on the
*sources'* validation images, or on sources that further runs hold out, stands for its
cell (`reports.grouping.select_trial`). The draw of a field depends on (seed, trial,
field) alone, so methods that share a field are given the same value.
"""

import dataclasses
import math
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.config import flatten


def _short(number: float) -> float:
    """Rounds to three digits, which are plenty and read well."""
    return float(f"{number:.3g}")


# Kind of range -> (rng, the configuration's own value, the range's values) -> a value.
_DRAWS: dict[str, Callable] = {
    "uniform": lambda rng, own, low, high: _short(rng.uniform(low, high)),
    "log": lambda rng, own, low, high: _short(
        math.exp(rng.uniform(math.log(low), math.log(high)))
    ),
    "around": lambda rng, own, factor: _short(own * factor ** rng.uniform(-1, 1)),
    "multiple": lambda rng, own, *factors: max(
        1, round(own * factors[rng.integers(len(factors))])
    ),
    "choice": lambda rng, own, *values: values[rng.integers(len(values))],
}


@dataclasses.dataclass(frozen=True)
class Range:
    """Where a field's value is drawn from.

    Attributes:
      kind: `uniform` between two numbers; `log`, the logarithm uniform between theirs;
        `around`, the configuration's own value times or over a log-uniform number up
        to a factor; `multiple`, the own value times one of some factors, rounded;
        `choice`, one of some values.
      values: The numbers, factors or values.
    """

    kind: str
    values: tuple

    def draw(self, rng: np.random.Generator, own: object) -> object:
        """Returns one value; `own` is what the configuration has."""
        return _DRAWS[self.kind](rng, own, *self.values)


# A field that a method does not use is not drawn for it.
RANGES: dict[str, Range] = {
    "optim.lr": Range("around", (10.0,)),
    "optim.weight_decay": Range("log", (1e-6, 1e-2)),
    "data.batch_size": Range("multiple", (0.5, 1, 2)),
    "augment.crop_scale": Range(
        "choice", ((0.6, 1.0), (0.7, 1.0), (0.8, 1.0), (0.9, 1.0))
    ),
    "losses.jigsaw": Range("uniform", (0.1, 1.0)),
    "losses.domain": Range("log", (0.03, 3.0)),
    "losses.consistency": Range("log", (0.1, 10.0)),
    # DomainBed's.
    "losses.coral": Range("log", (0.1, 10.0)),
    "losses.mmd": Range("log", (0.1, 10.0)),
    "losses.cdann": Range("log", (0.01, 100.0)),
    "losses.vrex": Range("log", (0.1, 1e5)),
    "losses.irm": Range("log", (0.1, 1e5)),
    "losses.fishr": Range("log", (10.0, 1e4)),
    "losses.sd": Range("log", (1e-5, 0.1)),
    "jigsaw.bias_whole_image": Range("uniform", (0.5, 0.95)),
    "diversify.p_ordered": Range("uniform", (0.1, 0.9)),
    "diversify.p_shuffled": Range("uniform", (0.1, 1.0)),
    "mixstyle.alpha": Range("choice", (0.1, 0.2, 0.3)),
}
# A field's values where a method does not use it, or is defined by it, other than 0.
_KEPT = {
    "jigsaw.bias_whole_image": (1.0,),
    "augment.crop_scale": (1.0,),
    "diversify.p_ordered": (0.0, 1.0),
}
_SWITCH = {"diversify": "name", "mixstyle": "stages"}  # empty: the section is off
# Field -> another and the values of it with which it means what its range is for.
_MEANT_FOR = {
    "jigsaw.bias_whole_image": ("jigsaw.view", ("instead",)),
    "mixstyle.alpha": ("mixstyle.name", ("mixstyle", "efdmix")),
}


def parse_range(text: str) -> tuple[str, Range]:
    """Returns the field and range of `KEY=log:LOW:HIGH`, `uniform:` or `choice:A:B:C`.

    Raises:
      ValueError: It is not of this form, or the numbers make no range.
    """
    key, _, rest = text.partition("=")
    kind, *parts = rest.split(":")
    wanted = (
        f"--range {text}: write KEY=log:LOW:HIGH, KEY=uniform:LOW:HIGH or "
        "KEY=choice:A:B:..., such as optim.lr=log:1e-4:1e-2"
    )
    if not key or not parts or kind not in ("log", "uniform", "choice"):
        raise ValueError(wanted)
    try:
        numbers = tuple(map(float, parts))
    except ValueError:
        if kind == "choice":
            return key, Range(kind, tuple(parts))
        raise ValueError(wanted) from None
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{wanted}; every number must be finite")
    if kind == "choice":
        values = tuple(int(n) if n == int(n) else n for n in numbers)
        return key, Range(kind, values)
    if len(numbers) != 2 or numbers[0] >= numbers[1]:
        raise ValueError(f"{wanted}; LOW must be below HIGH")
    if kind == "log" and numbers[0] <= 0:
        raise ValueError(f"{wanted}; LOW must be above 0 for a logarithm")
    return key, Range(kind, numbers)


def draw(
    config: ConfigDict, ranges: Mapping[str, Range], *, seed: int, trial: int
) -> dict[str, object]:
    """Returns fields and values of one trial, for the fields that `config` uses.

    Args:
      config: Of the method.
      ranges: Field -> range.
      seed: Of the run.
      trial: Its number; 0 draws nothing.

    Raises:
      ValueError: A range is of a field that does not exist.
    """
    fields = flatten(config.to_dict())
    unknown = [key for key in ranges if key not in fields]
    if unknown:
        raise ValueError(
            f"--range {unknown[0]}: the configuration has no such field; see config.py"
        )
    drawn = {}
    for key, span in ranges.items() if trial else ():
        if not _is_used(fields, key):
            continue
        rng = np.random.default_rng([seed, trial, zlib.crc32(key.encode())])
        value = span.draw(rng, fields[key])
        # A setting that may move over a run is one number or two in brackets.
        moving = isinstance(fields[key], tuple) and not isinstance(value, tuple)
        drawn[key] = (value,) if moving else value
    return drawn


def _is_used(fields: Mapping, key: str) -> bool:
    section = key.split(".")[0]
    switch = _SWITCH.get(section)
    if switch is not None and not fields[f"{section}.{switch}"]:
        return False
    if key not in RANGES:  # a user's own, which is meant for all methods
        return True
    if key in _MEANT_FOR:
        other, meant = _MEANT_FOR[key]
        if fields[other] not in meant:
            return False
    value, kept = fields[key], _KEPT.get(key, (0,))
    return any(v not in kept for v in (value if isinstance(value, tuple) else (value,)))
