"""The suite of suppressed cues: constructed models get the extreme values they should.

Each image has a class by one cue alone, and the model reads that cue.
"""

import dataclasses
import functools

import numpy as np
import pytest
from small_stimuli import evaluate, make_answers, make_stimuli

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.suites import SUITES, levels, one_pass, puzzle, reliance
from jigsaw_shape.suites import classes as classes_lib
from jigsaw_shape.suites.suite import PLAIN, Answers, Found, Job, Probe

N, PX = 16, 64
LABEL = np.arange(N) % 2
CUES = tuple(reliance.CUES)


def _coloured():
    """Red or blue of one luminance, whatever the pattern."""
    colours = np.array([[0.8, 0.30, 0.2], [0.2, 0.46, 0.35]], np.float32)
    rng = np.random.default_rng(0)
    return colours[LABEL][:, None, None] + 0.02 * rng.standard_normal((N, PX, PX, 3))


def _textured():
    """Faint stripes across, one pixel wide, or none."""
    images = np.full((N, PX, PX, 3), 0.5)
    images[LABEL == 1, ::2] += 0.04
    return images


def _arranged():
    """A bright half to the left or to the right: the tiles are the same."""
    images = np.full((N, PX, PX, 3), 0.2)
    images[LABEL == 0, :, : PX // 2] = 0.8
    images[LABEL == 1, :, PX // 2 :] = 0.8
    return images


def _locally_shaped():
    """A grid of bars that lie or stand, 4 px wide in tiles of 8 px."""
    lying = (np.arange(PX) // 4 % 2)[:, None] * np.ones(PX)
    bars = np.where(LABEL[:, None, None] == 0, lying, lying.T)
    return 0.1 + 0.8 * np.repeat(bars[..., None], 3, -1)


def _reads_colour(x):
    return x[..., 0].mean((1, 2)) > x[..., 2].mean((1, 2)) + 0.25


def _reads_texture(x):
    return np.abs(np.diff(x, axis=1)).mean((1, 2, 3)) < 0.02


def _reads_sides(x):
    half = x.shape[2] // 2
    return x[:, :, :half].mean((1, 2, 3)) > x[:, :, half:].mean((1, 2, 3)) + 0.2


def _reads_bars(x):
    lying = np.abs(np.diff(x, axis=1)).mean((1, 2, 3))
    return lying > 2 * np.abs(np.diff(x, axis=2)).mean((1, 2, 3))


READERS = {
    "colour": (_coloured, _reads_colour),
    "texture": (_textured, _reads_texture),
    "global_shape": (_arranged, _reads_sides),
    "local_shape": (_locally_shaped, _reads_bars),
}


def _answers(images, reads, probes):
    def predict(x, orders=None):
        right = np.asarray(reads(np.asarray(x)))
        return {"classification": np.stack([right, ~right], 1).astype(np.float32)}

    model = Classifier("m", ("0", "1"), PX, N, predict)
    pixels = np.uint8(np.rint(255 * np.clip(images, 0, 1)))
    stimuli = dataclasses.replace(
        make_stimuli(
            [f"{n}.png" for n in range(N)],
            LABEL.astype(str),
            lambda i, px: pixels[i],
        ),
        side_px=PX,
    )
    store = one_pass.store_of(stimuli, [model])
    outputs = one_pass.run([model], store, probes).outputs
    match = classes_lib.match(model.classes, model.classes)
    return Answers(stimuli, [model], outputs, {"m": match})


@pytest.fixture(scope="module")
def survival():
    """`{reader: {cue or pair: row}}`."""
    probes = [PLAIN, *reliance.probes(None, [])]
    wanted = {PLAIN.name, *reliance.PAIRS}
    wanted |= {reliance.name_of(*where) for where in reliance.CUES.values()}
    found = {}
    for name, (make, reads) in READERS.items():
        answers = _answers(make(), reads, [p for p in probes if p.name in wanted])
        rows = [r for r in reliance.rows(answers) if "survives" in r]
        found[name] = {row["condition"]: row for row in rows}
    return found


@pytest.mark.parametrize("cue", CUES)
def test_what_reads_one_cue_loses_all_without_it(survival, cue):
    row = survival[cue][cue]
    assert abs(row["survives"]) < 0.35
    assert row["chance"] == 0.5
    for pair, parts in reliance.PAIRS.items():
        if cue in parts:
            assert abs(survival[cue][pair]["survives"]) < 0.35


@pytest.mark.parametrize(
    ("reader", "cue"),
    [
        ("colour", "global_shape"),
        ("colour", "local_shape"),
        ("colour", "texture"),
        ("texture", "global_shape"),
        ("texture", "colour"),
        ("global_shape", "local_shape"),
        ("global_shape", "texture"),
        ("global_shape", "colour"),
        ("local_shape", "global_shape"),
        ("local_shape", "colour"),
    ],
)
def test_what_reads_one_cue_loses_nothing_without_another(survival, reader, cue):
    row = survival[reader][cue]
    assert row["survives"] == row["low"] == row["high"] == 1


def test_versions_are_shared_with_other_suites():
    names = [probe.name for probe in reliance.probes(None, [])]
    assert len(names) == len(set(names))
    assert "grey" in names
    by_name = {probe.name: probe for probe in reliance.full_probes(None, [])}
    assert by_name["grey"] is levels.GREY
    shared = {f"puzzle/{g}" for g in puzzle.grids(224)} & set(by_name)
    assert shared == {"puzzle/2", "puzzle/4", "puzzle/6", "puzzle/8"}
    assert set(names) < set(by_name)
    n_published = sum(len(one.levels) for one in reliance.SUPPRESSIONS.values())
    assert len(by_name) == n_published + len(reliance.PAIRS)


def test_what_survives_is_a_share_of_what_is_above_chance():
    label = np.arange(60) % 3
    right = np.eye(3, dtype=np.float32)[label]
    half = {"classification": np.where(np.arange(60)[:, None] < 30, right, right[::-1])}
    names = [PLAIN.name, *(p.name for p in reliance.probes(None, []))]
    outputs = {name: {"classification": right} for name in names} | {"puzzle/4": half}
    rows = list(reliance.rows(make_answers(outputs, label)))
    share = float((half["classification"].argmax(1) == label).mean())
    (row,) = [r for r in rows if r["condition"] == "global_shape"]
    assert 0.4 < share < 1
    assert row["survives"] == pytest.approx((share - 1 / 3) / (1 - 1 / 3))
    assert row["low"] < row["survives"] < row["high"]
    curve = [r["level"] for r in rows if r["condition"] == "patch_shuffle"]
    assert curve == [1, 2, 4, 8, 16]
    assert not [r for r in rows if r["condition"] == "nl_means"]  # only in full


def test_a_model_at_chance_has_no_share():
    label = np.arange(40) % 2
    guess = {"classification": np.eye(2, dtype=np.float32)[np.arange(40) // 2 % 2]}
    names = [PLAIN.name, *(p.name for p in reliance.probes(None, []))]
    rows = list(reliance.rows(make_answers(dict.fromkeys(names, guess), label)))
    shares = [r for r in rows if "survives" in r]
    assert len(shares) == len(reliance.CUES) + len(reliance.PAIRS)
    assert all(r["survives"] is None for r in shares)
    assert not list(reliance.SUITE.headlines(shares))
    assert not list(reliance.SUITE.facts(shares))
    assert list(reliance.SUITE.tables([r | {"suite": "reliance"} for r in rows], "x"))


@pytest.mark.parametrize(("full", "shown"), [(False, {"a"}), (True, {"a", "b"})])
def test_full_shows_every_published_level(full, shown, monkeypatch):
    seen = set()

    def probes(*names):
        def make(rngs, images, name):
            seen.add(name)
            return images

        return lambda stimuli, group: [
            Probe(n, functools.partial(make, name=n)) for n in names
        ]

    one = dataclasses.replace(
        reliance.SUITE,
        find=lambda opened, suites: Found([Job(opened.data[0], opened.models, True)]),
        probes=probes("a"),
        full_probes=probes("a", "b"),
        rows=lambda answers: (),
    )
    monkeypatch.setitem(SUITES, "reliance", one)
    answer = {"classification": np.eye(2, dtype=np.float32)[LABEL[:4]]}
    model = Classifier("m", ("0", "1"), 8, 4, lambda images, orders=None: answer)
    blank = np.zeros((8, 8, 3), np.uint8)
    names, category = [f"{n}.png" for n in range(4)], LABEL[:4].astype(str)
    stimuli = make_stimuli(names, category, lambda i, px: blank)
    evaluate(("reliance",), [model], stimuli, full=full)
    assert seen == shown


@pytest.mark.parametrize(("size_px", "left_out"), [(60, {16}), (64, set())])
def test_grids_that_leave_much_as_it_was_are_left_out(size_px, left_out):
    group = [Classifier("m", ("0", "1"), size_px, N, None)]
    names = {probe.name for probe in reliance.probes(None, group)}
    for kind in ("puzzle", "patch_rotation"):
        shown = {g for g in (2, 4, 8, 16) if f"{kind}/{g}" in names}
        assert {2, 4, 8, 16} - shown == left_out
    of_31 = [Classifier("m", ("0", "1"), 31, N, None)]
    assert "patch_rotation/8" in {probe.name for probe in reliance.probes(None, of_31)}
