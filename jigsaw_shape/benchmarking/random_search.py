"""Random search over declared ranges, DomainBed's way.

Gulrajani & Lopez-Paz, ICLR 2021, appendix D: trial 0 is the configuration as it is, any
other draws every range anew for each seed, and what is best on the *sources'*
validation images stands for its cell (`reports.benchmark.grouping`). The draw of a
field depends on (seed, trial, field) alone, so methods that share a field are given the
same value.
"""

import dataclasses
import math
import zlib
from collections.abc import Mapping

import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.config import flatten


@dataclasses.dataclass(frozen=True)
class Uniform:
    """A number uniform between `low` and `high`."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator, usual: object) -> float:
        """Returns one number; what is `usual` does not matter."""
        del usual
        return _short(rng.uniform(self.low, self.high))


@dataclasses.dataclass(frozen=True)
class LogUniform:
    """A number whose logarithm is uniform between those of `low` and `high`."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator, usual: object) -> float:
        """Returns one number; what is `usual` does not matter."""
        del usual
        return _short(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))


@dataclasses.dataclass(frozen=True)
class Around:
    """What the configuration has, times or over a log-uniform number up to `factor`."""

    factor: float

    def draw(self, rng: np.random.Generator, usual: float) -> float:
        """Returns one number near what is `usual`."""
        return _short(usual * self.factor ** rng.uniform(-1, 1))


@dataclasses.dataclass(frozen=True)
class Multiple:
    """What the configuration has, times one of `factors`; a whole number."""

    factors: tuple[float, ...]

    def draw(self, rng: np.random.Generator, usual: int) -> int:
        """Returns one multiple of what is `usual`, at least 1."""
        return max(1, round(usual * self.factors[rng.integers(len(self.factors))]))


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of `values`, all equally likely."""

    values: tuple

    def draw(self, rng: np.random.Generator, usual: object) -> object:
        """Returns one of them; what is `usual` does not matter."""
        del usual
        return self.values[rng.integers(len(self.values))]


Range = Uniform | LogUniform | Around | Multiple | Choice

# Field -> where to draw it from. A field that a method leaves off is not drawn.
RANGES: dict[str, Range] = {
    "optim.lr": Around(10.0),
    "optim.weight_decay": LogUniform(1e-6, 1e-2),
    "data.batch_size": Multiple((0.5, 1, 2)),
    "augment.crop_scale": Choice(((0.6, 1.0), (0.7, 1.0), (0.8, 1.0), (0.9, 1.0))),
    "losses.jigsaw": Uniform(0.1, 1.0),
    "losses.domain": LogUniform(0.03, 3.0),
    "losses.consistency": LogUniform(0.1, 10.0),
    "jigsaw.bias_whole_image": Uniform(0.5, 0.95),
    "diversify.p_ordered": Uniform(0.1, 0.9),
    "diversify.p_shuffled": Uniform(0.1, 1.0),
    "mixstyle.alpha": Choice((0.1, 0.2, 0.3)),
}
# What a field is where a method does without it, other than 0.
_OFF = {"jigsaw.bias_whole_image": 1.0, "augment.crop_scale": 1.0}
_SWITCH = {"diversify": "name", "mixstyle": "stages"}  # empty: the section is off


def parse_range(text: str) -> tuple[str, Range]:
    """Returns the field and range of `KEY=log:LOW:HIGH`, `uniform:` or `choice:A:B:C`.

    Raises:
      ValueError: It does not read so, or the numbers make no range.
    """
    key, _, rest = text.partition("=")
    kind, *parts = rest.split(":")
    wanted = (
        f"--range {text}: KEY=log:LOW:HIGH, KEY=uniform:LOW:HIGH or KEY=choice:A:B:..."
        ", such as optim.lr=log:1e-4:1e-2"
    )
    if not key or not parts or kind not in ("log", "uniform", "choice"):
        raise ValueError(wanted)
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = None
    if numbers is not None and not all(map(math.isfinite, numbers)):
        raise ValueError(f"{wanted}; every number finite")
    if kind == "choice":
        if numbers is None:
            return key, Choice(tuple(parts))
        return key, Choice(tuple(int(n) if n == int(n) else n for n in numbers))
    if numbers is None or len(numbers) != 2 or numbers[0] >= numbers[1]:
        raise ValueError(wanted)
    if kind == "log" and numbers[0] <= 0:
        raise ValueError(f"{wanted}; a logarithm needs LOW above 0")
    return key, (LogUniform if kind == "log" else Uniform)(*numbers)


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
        raise ValueError(f"--range {unknown[0]}: no such field in the configuration")
    if trial == 0:
        return {}
    drawn = {}
    for key, span in ranges.items():
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
    value = fields[key]
    off = _OFF.get(key, 0)
    return any(v != off for v in (value if isinstance(value, tuple) else (value,)))


def _short(number: float) -> float:
    """Returns a number that reads well and means itself: three digits are plenty."""
    return float(f"{number:.3g}")
