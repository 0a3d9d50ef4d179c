"""Laws of the division into training, validation and target images."""

import dataclasses

import numpy as np
import pytest

from jigsaw_shape.data import splits
from jigsaw_shape.data.dataset import Dataset

DOMAINS = ("art", "cartoon", "photo", "sketch")


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    domain = np.repeat(np.arange(4, dtype=np.int32), (200, 55, 101, 33))
    rng.shuffle(domain)
    return Dataset(
        name="made_up",
        classes=("a", "b"),
        domains=DOMAINS,
        label=rng.integers(0, 2, len(domain), dtype=np.int32),
        domain=domain,
        read=lambda i: np.zeros((4, 4, 3), np.uint8),
        official=rng.choice(["train", "train", "val", ""], len(domain)),
    )


@pytest.mark.parametrize("method", splits.METHODS)
def test_parts_are_disjoint_ascending_and_of_their_domains(dataset, method):
    parts = splits.split(dataset, target="photo", method=method, seed=3)
    assert parts.sources == ("art", "cartoon", "sketch")
    assert parts.method == method
    for indices in (parts.train, parts.val, parts.target):
        assert indices.dtype == np.int64
        assert (np.diff(indices) > 0).all()
    assert not set(parts.train) & set(parts.val)
    np.testing.assert_array_equal(parts.target, np.flatnonzero(dataset.domain == 2))
    used = np.union1d(parts.train, parts.val)
    of_sources = np.flatnonzero(dataset.domain != 2)
    if method == "official":
        of_sources = of_sources[dataset.official[of_sources] != ""]
        assert set(dataset.official[parts.val]) == {"val"}
    np.testing.assert_array_equal(used, of_sources)


@pytest.mark.parametrize(
    ("options", "share"),
    [
        ({"method": "jigen"}, 0.1),
        ({"method": "domainbed"}, 0.2),
    ],
)
def test_each_source_holds_out_its_share_rounded_down(dataset, options, share):
    parts = splits.split(dataset, target="photo", **options)
    for d in (0, 1, 3):
        n = (dataset.domain == d).sum()
        assert (dataset.domain[parts.val] == d).sum() == int(n * share)


def test_a_domains_held_out_images_depend_on_seed_and_name_alone(dataset):
    def held_out(data, **options):
        parts = splits.split(data, **options)
        return set(parts.val[data.domain[parts.val] == data.domain_index("art")])

    first = held_out(dataset, target="photo", seed=0)
    assert first == held_out(dataset, target="photo", seed=0)
    assert first == held_out(dataset, target="sketch", sources=("art",), seed=0)
    assert first != held_out(dataset, target="photo", seed=1)
    assert first < held_out(dataset, target="photo", method="domainbed", seed=0)
    order = np.array([3, 2, 1, 0], np.int32)  # the same domains, listed backwards
    backwards = dataclasses.replace(
        dataset, domains=DOMAINS[::-1], domain=order[dataset.domain]
    )
    assert first == held_out(backwards, target="photo", seed=0)


def test_none_trains_on_every_image_of_the_sources(dataset):
    parts = splits.split(dataset, target="photo", method="none")
    assert parts.val.size == 0
    np.testing.assert_array_equal(parts.train, np.flatnonzero(dataset.domain != 2))


def test_two_domains_of_one_size_do_not_hold_out_the_same_positions():
    domain = np.repeat(np.arange(3, dtype=np.int32), 100)
    data = Dataset("d", ("a",), ("p", "q", "r"), domain * 0, domain, lambda i: None)
    val = splits.split(data, target="r").val
    assert set(val[domain[val] == 0]) != set(val[domain[val] == 1] - 100)


def test_sources_may_be_fewer(dataset):
    parts = splits.split(dataset, target="photo", sources=("sketch", "art"))
    assert parts.sources == ("art", "sketch")
    assert set(dataset.domain[parts.train]) == {0, 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "photos"}, "unknown domain 'photos': made_up has art, cartoon,"),
        ({"target": "art", "sources": ("foto",)}, "unknown domain 'foto'"),
        ({"target": "art", "sources": ("art", "photo")}, "'art' is among"),
        (
            {"target": "art", "method": "kfold"},
            "jigen . domainbed . official . none allowed",
        ),
    ],
)
def test_refusals(dataset, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        splits.split(dataset, **options)
    assert "\n" not in str(caught.value)


def test_refusals_that_come_from_the_data(dataset):
    alone = Dataset("d", ("a",), ("p",), np.zeros(9, int), np.zeros(9, int), None)
    with pytest.raises(ValueError, match="no domain but the target"):
        splits.split(alone, target="p")
    without = dataclasses.replace(dataset, official=None)
    with pytest.raises(ValueError, match="no official split of 'cartoon'"):
        splits.split(without, target="art", method="official")
    tiny = Dataset("d", ("a",), ("p", "q"), np.zeros(3, int), np.array([0, 0, 1]), None)
    with pytest.raises(ValueError, match="'q' has 1 images: too few"):
        splits.split(tiny, target="p")
