"""The order of an epoch, the image store, and batches."""

import jax
import numpy as np
import pytest

from jigsaw_shape.data import image_store
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.image_store import ImageStore, epoch_order

SIZES = (30, 90, 180)


def _domains():
    return np.repeat(np.arange(3, dtype=np.int32), SIZES)


def _dataset():
    domain = _domains()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (len(domain), 8, 8, 3), np.uint8)
    return Dataset(
        name="made-up",
        classes=("a", "b"),
        domains=("x", "y", "z"),
        label=(np.arange(len(domain)) % 2).astype(np.int32),
        domain=domain,
        read=images.__getitem__,
    )


def _order(epoch=0, seed=0, sampling="proportional"):
    indices = np.arange(sum(SIZES))[::-1].copy()
    return epoch_order(_domains(), indices, seed=seed, epoch=epoch, sampling=sampling)


def test_proportional_order_visits_each_image_once():
    order = _order()
    np.testing.assert_array_equal(np.sort(order), np.arange(sum(SIZES)))


def test_order_depends_on_seed_and_epoch_alone():
    np.testing.assert_array_equal(_order(), _order())
    assert (_order(epoch=0) != _order(epoch=1)).mean() > 0.9
    assert (_order(seed=0) != _order(seed=1)).mean() > 0.9


def test_neighbours_change_from_epoch_to_epoch():
    def pairs(order):
        return set(zip(order[:-1].tolist(), order[1:].tolist(), strict=True))

    assert len(pairs(_order(epoch=0)) & pairs(_order(epoch=1))) < 20


@pytest.mark.parametrize("sampling", ["proportional", "balanced"])
def test_every_stretch_holds_every_domain_in_its_share(sampling):
    order = _order(sampling=sampling)
    shares = np.array(SIZES) / sum(SIZES)
    if sampling == "balanced":
        shares = np.full(3, 1 / 3)
    length = 30
    for start in range(0, len(order) - length, 7):
        counts = np.bincount(_domains()[order[start : start + length]], minlength=3)
        assert (np.abs(counts - shares * length) < 2).all()
        assert counts.min() > 0


def test_balanced_order_repeats_small_domains_evenly():
    order = _order(sampling="balanced")
    assert len(order) == sum(SIZES)
    times = np.bincount(order, minlength=sum(SIZES))
    small, middle, large = np.split(times, np.cumsum(SIZES)[:-1])
    assert small.min() >= 3
    assert small.max() - small.min() <= 1
    assert middle.sum() == large.sum() == 100


@pytest.mark.parametrize("cache", ["device", "host", "none"])
def test_store_gives_the_images_asked_for(cache):
    dataset = _dataset()
    store = ImageStore(dataset, cache=cache, stored_px=8)
    chunks = [np.array([5, 200, 31]), np.array([0, 0, 299])]
    for chunk, batch in zip(chunks, store.batches(chunks), strict=True):
        images = batch["image"] if "image" in batch else store.bank[batch["index"]]
        expected = np.stack([dataset.read(i) for i in chunk])
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(batch["label"], dataset.label[chunk])
        np.testing.assert_array_equal(batch["domain"], dataset.domain[chunk])
    assert (store.bank is not None) == (cache == "device")


def test_store_places_the_bank_where_it_is_told():
    placed = []

    def place(images):
        placed.append(images.shape)
        return jax.device_put(images)

    ImageStore(_dataset(), cache="device", stored_px=8, place=place)
    assert placed == [(300, 8, 8, 3)]


@pytest.mark.parametrize(
    ("processes", "chosen"),  # a device's memory, the host's free memory, the host
    [
        ([(0, 200, "a")], "host"),
        ([(0, 199, "a")], "none"),
        ([(0, 400, "a"), (0, 400, "a"), (0, 200, "b")], "host"),
        ([(0, 400, "a"), (0, 399, "a"), (0, 200, "b")], "none"),
        ([(401, 0, "a"), (401, 0, "a")], "device"),
        ([(401, 400, "a"), (400, 400, "a")], "host"),
    ],
)
def test_processes_share_a_host_and_choose_one_cache(monkeypatch, processes, chosen):
    monkeypatch.setattr(image_store.peers, "gather", lambda _: processes)
    assert image_store._choose_cache(100) == chosen


def test_a_damaged_image_stops_the_batch_that_needs_it():
    def read(i):
        raise ZeroDivisionError("damaged")

    dataset = _dataset()
    broken = Dataset(
        **{f: getattr(dataset, f) for f in dataset.__dataclass_fields__}
        | {"read": read, "names": tuple(f"x/a/{i}.png" for i in range(300))}
    )
    store = ImageStore(broken, cache="none", stored_px=8)
    with pytest.raises(OSError, match=r"made-up: x/a/7\.png cannot be read: damaged"):
        list(store.batches([np.array([7])]))
    with pytest.raises(OSError, match="damaged"):
        ImageStore(broken, cache="host", stored_px=8)
