"""From stored images to batches: the order of an epoch, decoding, caching, look-ahead.

Batches are decided for all devices and processes together, from (seed, epoch) alone.
Each process reads its own part of them (`system.devices.own_part`).
"""

import collections
import os
import pathlib
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.system import cpu, peers
from jigsaw_shape.system.command_line import track

_DEVICE_SHARE = 0.25  # of a device's memory that the images may take
_HOST_SHARE = 0.5  # of the free host memory
_AHEAD = 2  # batches prepared while the device computes


def epoch_order(
    domain: np.ndarray, indices: np.ndarray, *, seed: int, epoch: int, sampling: str
) -> np.ndarray:
    """Returns the order in which an epoch visits images: int64, indices into the set.

    Each domain is shuffled by (seed, epoch, domain) and dealt out evenly over the
    epoch: any stretch, such as a device's part of a batch, holds of every domain its
    share of the stretch's length to within two images, where a plain shuffle has the
    shares only on average. (A domain with a share of less than two images of a device's
    part may be missing from it.)

    Args:
      domain: int32 [N], of the whole data set.
      indices: int64 [n], the images to visit.
      seed: Of the run.
      epoch: From 0.
      sampling: `"proportional"`: each image exactly once. `"balanced"`: n images, as
        many of each domain (to within one), small domains repeated.
    """
    groups = {int(d): indices[domain[indices] == d] for d in np.unique(domain[indices])}
    positions, dealt = [], []
    for rank, (d, members) in enumerate(groups.items()):
        rng = np.random.default_rng([seed, epoch, d])
        n = len(members)
        if sampling == "balanced":
            n = len(indices) // len(groups) + (rank < len(indices) % len(groups))
        passes = -(-n // len(members))
        dealt.append(
            np.concatenate([rng.permutation(members) for _ in range(passes)])[:n]
        )
        positions.append((np.arange(n) + rng.random()) / n)
    order = np.argsort(np.concatenate(positions), kind="stable")
    return np.concatenate(dealt)[order]


class ImageStore:
    """A data set's images by index: on the devices, in host memory, or read as needed.

    Attributes:
      dataset: The data set; its labels are part of each batch.
      bank: uint8 [N, S, S, 3] on every device, or None. A batch then holds `index`
        instead of `image`.
      cache: What was chosen: `"device"`, `"host"` or `"none"`.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        cache: str,
        stored_px: int,
        place: Callable[[np.ndarray], jax.Array] = jax.device_put,
    ):
        """Reads what is cached.

        Args:
          dataset: `read` returns squares of `stored_px`.
          cache: `"device"`, `"host"`, `"none"`, or `"auto"`: the first of them that
            fits in a quarter of the device's memory or half the host's free memory
            (on CPU, where both are the same, the host's). Processes of one run on one
            host share its memory, and all choose the same.
          stored_px: S.
          place: Puts an array on every device, for `"device"`.
        """
        n_bytes = len(dataset) * stored_px * stored_px * 3
        self.dataset = dataset
        self.cache = _choose_cache(n_bytes) if cache == "auto" else cache
        self.bank = None
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._images = None
        if self.cache == "none":
            return
        images = np.empty((len(dataset), stored_px, stored_px, 3), np.uint8)

        def fill(i):
            images[i] = self._read(i)

        reads = self._pool.map(fill, range(len(dataset)))
        for _ in track(reads, f"reading {dataset.name}", len(dataset)):
            pass
        if self.cache == "device":
            self.bank = place(images)
        else:
            self._images = images

    def _read(self, i: int) -> np.ndarray:
        try:
            return self.dataset.read(i)
        except Exception as error:  # Pillow raises nearly any kind on damaged data
            name = self.dataset.names[i] if self.dataset.names else f"image {i}"
            raise OSError(
                f"{self.dataset.name}: {name} cannot be read: {error}"
            ) from error

    def batch(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Returns host arrays [b]: `label`, `domain`, and `index` or `image`."""
        indices = np.asarray(indices)
        batch = {
            "label": self.dataset.label[indices].astype(np.int32),
            "domain": self.dataset.domain[indices].astype(np.int32),
        }
        if self.bank is not None:
            batch["index"] = indices.astype(np.int32)
        elif self._images is not None:
            batch["image"] = self._images[indices]
        else:
            needed, places = np.unique(indices, return_inverse=True)
            batch["image"] = np.stack(list(self._pool.map(self._read, needed)))[places]
        return batch

    def batches(self, chunks: Sequence[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batch of each chunk of indices, prepared ahead in a thread."""
        with ThreadPoolExecutor(1) as ahead:
            waiting = []
            for chunk in chunks:
                waiting.append(ahead.submit(self.batch, chunk))
                if len(waiting) > _AHEAD:
                    yield waiting.pop(0).result()
            for future in waiting:
                yield future.result()


def _choose_cache(n_bytes: int) -> str:
    device = jax.local_devices()[0]
    limit = 0
    if device.platform != "cpu":
        limit = (device.memory_stats() or {}).get("bytes_limit", 0)
    found = peers.gather((limit, _free_host_bytes(), platform.node()))
    if n_bytes < _DEVICE_SHARE * min(limit for limit, _, _ in found):
        return "device"
    n_on = collections.Counter(host for _, _, host in found)
    free = min(free / n_on[host] for _, free, host in found)
    return "host" if n_bytes <= _HOST_SHARE * free else "none"


def _free_host_bytes() -> int:
    """Returns the memory that this process may still take, as the system sees it."""
    cpu.release_memory()
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = pathlib.Path("/proc/meminfo")  # Linux only
    if meminfo.exists():
        found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text())
        free = int(found[1]) * 1024 if found else free
    try:  # a container's own limit
        group = pathlib.Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        free = min(free, limit - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return free
