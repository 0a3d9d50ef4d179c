"""Which images train, which validate and which are the held-out target's."""

import dataclasses
import zlib
from collections.abc import Iterable

import numpy as np

from jigsaw_shape.data.dataset import Dataset

# The share of each source domain that each method holds out.
FRACTIONS: dict[str, float] = {
    "jigen": 0.1,  # Carlucci et al., CVPR 2019
    "domainbed": 0.2,  # Gulrajani & Lopez-Paz, ICLR 2021
}
NONE = "none"  # every source image trains
METHODS = (*FRACTIONS, "official", NONE)


@dataclasses.dataclass(frozen=True)
class Splits:
    """A data set divided for one target domain.

    Attributes:
      train: int64 [n], ascending indices of source images to train on.
      val: int64 [m], ascending indices of source images held out; none are by `none`.
      target: int64 [t], ascending indices of every image of the target.
      sources: Names of the source domains, in the data set's order.
      method: How validation was held out, for result rows.
      unlabelled: int64 [u], images that train without their labels.
    """

    train: np.ndarray
    val: np.ndarray
    target: np.ndarray
    sources: tuple[str, ...]
    method: str
    unlabelled: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(0, np.int64)
    )

    @property
    def learned(self) -> np.ndarray:
        """Every image that is trained on, with its label or without."""
        return np.concatenate([self.train, self.unlabelled])


def split(
    dataset: Dataset,
    *,
    target: str,
    sources: Iterable[str] = (),
    method: str = "jigen",
    seed: int = 0,
) -> Splits:
    """Returns a data set divided into training, validation and target images.

    Which images of a source domain are held out is drawn from (`seed`, the domain's
    name) alone: neither the target nor the other sources change it. They are drawn
    uniformly over the domain, as JiGen and DomainBed draw them, not class by class;
    with one seed, `jigen`'s are among `domainbed`'s.

    Args:
      dataset: Whose domains and, for `official`, own split are used.
      target: The domain that is held out, all of its images; "" for none.
      sources: Domains to learn from; none: every one but the target.
      method: `"jigen"`: 10 % of each source are held out, `"domainbed"`: 20 %,
        `"official"`: the data set's own; images that it puts in neither are left out;
        `"none"`: nothing is held out, for a last run on all there is once its length
        and its method are chosen (ERM++, Teterwak et al., 2023).
      seed: Of the drawing; `official` and `none` draw nothing.

    Raises:
      ValueError: An unknown domain or method, the target among the sources, no
        sources, a domain that is too small to divide, no official split.
    """
    if method not in METHODS:
        raise ValueError(
            f"config.data.split is {method!r}: {' | '.join(METHODS)} allowed"
        )
    if target:
        dataset.domain_index(target)
    named = set(sources) or set(dataset.domains) - {target}
    for name in sorted(named):
        dataset.domain_index(name)
    if target in named:
        raise ValueError(
            f"the target {target!r} is among config.data.sources "
            f"({', '.join(sorted(named))}): leave it out"
        )
    if not named:
        raise ValueError(
            f"{dataset.name} has no domain but the target {target!r} to learn from"
        )
    chosen = tuple(d for d in dataset.domains if d in named)

    def part(name):
        if method == NONE:
            members = _members(dataset, name)
            return members, members[:0]
        if method == "official":
            return _official(dataset, name)
        return _random(dataset, name, seed=seed, fraction=FRACTIONS[method])

    parts = [part(name) for name in chosen]
    return Splits(
        train=np.sort(np.concatenate([train for train, _ in parts])),
        val=np.sort(np.concatenate([val for _, val in parts])),
        target=_members(dataset, target) if target else np.zeros(0, np.int64),
        sources=chosen,
        method=method,
    )


def _members(dataset: Dataset, domain: str) -> np.ndarray:
    return np.flatnonzero(dataset.domain == dataset.domain_index(domain)).astype(
        np.int64
    )


def _random(
    dataset: Dataset, domain: str, *, seed: int, fraction: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (train, val) indices; the share is rounded down, but one at least."""
    members = _members(dataset, domain)
    if len(members) < 2:
        raise ValueError(
            f"domain {domain!r} has {len(members)} images: too few to hold one out"
        )
    rng = np.random.default_rng([seed, zlib.crc32(domain.encode())])
    order = rng.permutation(members)
    n_val = min(max(int(len(members) * fraction), 1), len(members) - 1)
    return order[n_val:], order[:n_val]


def _official(dataset: Dataset, domain: str) -> tuple[np.ndarray, np.ndarray]:
    members = _members(dataset, domain)
    marks = None if dataset.official is None else dataset.official[members]
    train, val = (
        members[:0] if marks is None else members[marks == m] for m in ("train", "val")
    )
    if not len(train) or not len(val):
        raise ValueError(
            f"{dataset.name} has no official split of {domain!r} ({len(train)} train, "
            f"{len(val)} val): set config.data.split to jigen or domainbed, or prepare "
            "it again with the split files beside the images"
        )
    return train, val
