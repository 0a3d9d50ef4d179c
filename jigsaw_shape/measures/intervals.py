"""Bootstrap intervals of measures: images are drawn again with replacement."""

import functools
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

N_RESAMPLES = 2000
LEVEL = 0.95
_CHUNK = 200  # resamples at a time, which bounds the memory
_KEPT = 4096  # images: draws of up to as many are kept, 16 MB at most each

Part = tuple[np.ndarray, np.ndarray]  # of a share: numerator [n], denominator [n]


def weights(
    n_images: int, *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> Iterator[np.ndarray]:
    """Yields how often each image was drawn: float64 [r, n_images], in chunks.

    With the same seed it is the same for every measure, so that measures are paired.

    Args:
      n_images: How many images there are, and are drawn in each resample.
      seed: Of the drawing.
      n_resamples: Their number over all chunks.
    """
    if n_images <= _KEPT:
        for chunk in _kept(n_images, seed, n_resamples):
            yield chunk.astype(np.float64)
    else:
        yield from _draw(n_images, seed, n_resamples)


@functools.lru_cache(maxsize=16)
def _kept(n_images: int, seed: int, n_resamples: int) -> tuple[np.ndarray, ...]:
    drawn = _draw(n_images, seed, n_resamples)
    return tuple(chunk.astype(np.uint16) for chunk in drawn)


def _draw(n_images: int, seed: int, n_resamples: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    for start in range(0, n_resamples, _CHUNK):
        n = min(_CHUNK, n_resamples - start)
        drawn = rng.integers(n_images, size=(n, n_images))
        cells = drawn + n_images * np.arange(n)[:, None]
        counts = np.bincount(cells.ravel(), minlength=n * n_images)
        yield counts.reshape(n, n_images).astype(np.float64)


def of_statistic(
    statistic: Callable[[np.ndarray], np.ndarray], n_images: int, *, seed: int = 0
) -> tuple[float, float]:
    """Returns the 95 % percentile interval of a statistic of weighted images.

    Resamples where it is not a finite number are left out; (nan, nan) if none is left.

    Args:
      statistic: Maps weights [r, n_images] to values [r].
      n_images: How many images there are.
      seed: Of the drawing.
    """
    if n_images == 0:
        return float("nan"), float("nan")
    values = np.concatenate([statistic(w) for w in weights(n_images, seed=seed)])
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def interval(
    numerator: np.ndarray, denominator: np.ndarray, *, seed: int = 0
) -> tuple[float, float]:
    """Returns the 95 % interval of a share, `numerator.sum() / denominator.sum()`.

    Where all images agree on 0 or on 1, a bootstrap interval has no width, even for few
    images. The exact binomial interval (Clopper and Pearson, 1934) of as many images is
    returned instead.

    >>> low, high = interval(np.ones(20), np.ones(20))  # all of 20 are right
    >>> round(low, 3), high
    (0.832, 1.0)

    Args:
      numerator: [n], such as each image's number of right answers.
      denominator: [n], such as each image's number of answers; at least the numerator.
      seed: Of the drawing.
    """
    top, bottom = (np.asarray(part, np.float64) for part in (numerator, denominator))
    n_counted = int((bottom > 0).sum())
    if n_counted and top.sum() in (0, bottom.sum()):
        n_right = 0 if top.sum() == 0 else n_counted
        exact = stats.binomtest(n_right, n_counted).proportion_ci(LEVEL, "exact")
        return float(exact.low), float(exact.high)
    return of_ratio(top, bottom, seed=seed)


def of_ratio(
    top: np.ndarray, bottom: np.ndarray, *, seed: int = 0
) -> tuple[float, float]:
    """Returns the 95 % interval of `top.sum() / bottom.sum()`, whatever their signs.

    Args:
      top: float [n], what each image adds.
      bottom: float [n], the same.
      seed: Of the drawing.
    """
    return of_statistic(lambda w: _ratio(w, top, bottom), len(top), seed=seed)


def difference(
    first: Part, second: Part, *, seed: int = 0
) -> tuple[float, float, float]:
    """Returns the difference of two shares of the same images, and its 95 % interval.

    Both are of the same draws, so the difference is paired. It is nan where a
    denominator is 0.

    Args:
      first: One model's numerator and denominator, see `interval`.
      second: Another model's, on the same images.
      seed: Of the drawing.
    """
    first, second = (
        tuple(np.asarray(part, np.float64) for part in parts)
        for parts in (first, second)
    )

    def gap(w):
        return _ratio(w, *first) - _ratio(w, *second)

    n = len(first[0])
    return float(gap(np.ones(n))), *of_statistic(gap, n, seed=seed)


def _ratio(w: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return (w @ top) / (w @ bottom)
