"""The suite `probe` from images to rows, tables and page; features files; untrained."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from small_stimuli import evaluate, make_stimuli
from test_evaluate import _run
from test_flax_models import write_run

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.embedded import shapes
from jigsaw_shape.embedding import features_file
from jigsaw_shape.measures import probe
from jigsaw_shape.reports import evaluation_folder as files
from jigsaw_shape.reports import look
from jigsaw_shape.suites import opened as opened_lib
from jigsaw_shape.suites import probe as suite
from jigsaw_shape.suites import probe_page

CLASSES, DOMAINS, N = ("cat", "dog"), ("photo", "sketch", "toon"), 180


def _stimuli(trained=None):
    """Images whose red says the class, but for those of sketch: there green does."""
    rng = np.random.default_rng(0)
    category = np.array([CLASSES[n % 2] for n in range(N)])
    domain = np.array([DOMAINS[3 * n // N] for n in range(N)])
    noise = rng.integers(0, 30, (N, 3))
    other = rng.integers(2, size=N)

    def read(i, px):
        pixels = np.zeros((px, px, 3), np.uint8) + np.uint8(noise[i])
        bits = [category[i] == "dog", other[i]]  # red, green
        bits = bits[::-1] if domain[i] == "sketch" else bits
        pixels[..., :2] += np.uint8(np.array(bits) * 150)
        return pixels

    cells = zip(domain, category, strict=True)
    names = [f"{d}/{c}/{n}.png" for n, (d, c) in enumerate(cells)]
    fields = {"experiment": "domains", "domain": domain, "trained": trained}
    return make_stimuli(names, category, read, **fields)


def _model(name="m", noise=0.0):
    def predict(images, orders=None):
        means = np.asarray(images, np.float32).mean((1, 2))
        odd = np.sin(1e4 * means)  # as good as random
        return {"features": np.float32((1 - noise) * means + noise * odd)}

    return Classifier(name, (), 8, 16, predict, has_features=True)


def _rows(results, **wanted):
    rows = [r for r in results.rows if "measure" in r]
    return [r for r in rows if all(r.get(k) == v for k, v in wanted.items())]


@pytest.fixture(scope="module")
def results():
    return evaluate(("probe",), [_model(), _model("noise", 1.0)], _stimuli())


def test_a_probe_reads_what_is_there_and_no_more(results):
    for measure, least in ((suite.LINEAR, 1), (suite.NEIGHBOURS, 0.8)):
        rows = _rows(results, model="m", measure=measure)
        right = {(r["fit"], r["test"]): r["accuracy"] for r in rows}
        assert min(right["photo", "photo"], right["photo", "toon"]) >= least
        assert right["sketch", "sketch"] >= least
    # Another channel tells it in sketch: half of the answers are right by chance.
    right = {
        (r["fit"], r["test"]): r["accuracy"]
        for r in _rows(results, model="m", measure=suite.LINEAR)
    }
    assert 0.3 < right["photo", "sketch"] < 0.8
    assert 0.3 < right[suite.OTHERS, "sketch"] < 0.8
    for row in _rows(results, model="noise"):
        assert row["accuracy"] < 0.85
        assert row["chance"] == 0.5
    few = {
        r["shots"]: r
        for r in _rows(results, model="m", fit="photo", test="photo")
        if r["measure"] == suite.FEW
    }
    assert list(few) == [1, 5, 10]
    assert few[10]["accuracy"] == 1
    assert few[1]["draws"] == probe.N_DRAWS
    within = _rows(results, model="m", measure="linear", fit="photo", test="photo")[0]
    across = _rows(results, model="m", measure="linear", fit="photo", test="toon")[0]
    assert (within["n_fit"], within["n"], across["n"]) == (36, 12, 60)
    gaps = [r for r in results.rows if "difference" in r]
    assert len(gaps) == 9 + 3  # pairs of domains, and the others to each
    assert all((r["model"], r["versus"]) == ("m", "noise") for r in gaps)


def test_few_shot_intervals_are_of_the_mean_over_draws():
    right = np.array([[1, 1], [1, 0], [0, 0], [1, 0]], bool)
    row = suite.over_draws(right)
    assert (row["accuracy"], row["draws"]) == (0.5, 4)
    reach = 3.182446 * np.std([1, 0.5, 0, 0.5], ddof=1) / 2
    assert row["high"] == pytest.approx(min(1, 0.5 + reach), abs=1e-6)
    assert row["low"] == pytest.approx(max(0, 0.5 - reach), abs=1e-6)


def test_what_a_run_was_trained_on_is_fitted_and_never_tested():
    trained = np.arange(N) % 3 > 0
    trained[60:120] = False  # sketch is held out
    sets = list(suite._sets(_stimuli(trained), 0))
    asked = {name: test for one in sets for name, test in one.tests.items()}
    assert set(asked) == set(DOMAINS)
    for one in sets:
        tested = np.concatenate(list(one.tests.values()))
        assert not trained[tested].any()
        assert not set(tested) & {*one.fitted, *one.chooses}
        if one.fit in ("photo", "toon"):
            assert trained[one.fitted].all()
            assert not trained[one.chooses].any()
            assert len(one.tests["sketch"]) == 60
    assert [(s.fit, set(s.tests)) for s in sets if s.fit == suite.OTHERS] == [
        (suite.OTHERS, {"sketch"})
    ]


def test_at_most_so_many_images_of_a_domain():
    results = evaluate(("probe",), [_model()], _stimuli(), n_images=20)
    within = _rows(results, measure="linear", fit="photo", test="photo")[0]
    across = _rows(results, measure="linear", fit="photo", test="toon")[0]
    assert (within["n_fit"], across["n"], across["data"]) == (12, 20, "mine, 60 images")
    (stimuli,) = results.stimuli.values()
    assert "60 of 180 images, at most 20 of a domain" in stimuli.made_by
    cells = list(zip(stimuli.domain, stimuli.category, strict=True))
    assert {cells.count(cell) for cell in cells} == {10}


def test_tables_figure_and_facts_say_the_rows(results):
    rows = [r for r in results.rows if r["data"] == "mine"]
    within, across, pairs, _ = suite.SUITE.tables(rows, "mine")
    assert "mean of 3 pairs, chance 50.0" in within.title
    assert within.body[0][0].text == "m"
    linear = [r for r in _rows(results, model="m", measure="linear")]
    mean = np.mean([r["accuracy"] for r in linear if r["fit"] == suite.OTHERS])
    assert across.body[0][-1].text == f"{100 * mean:.1f}"
    assert len(pairs.body) == 12
    with look.look():
        figure = probe_page.figure(rows[: len(linear) * 5], look.Looks(["m", "noise"]))
    assert len(figure.axes) == 2
    ((number, what, share),) = suite.SUITE.facts(
        [r for r in rows if r["model"] == "m" and "difference" not in r]
    )
    assert share == pytest.approx(mean)
    assert number == f"{100 * mean:.1f} %"
    assert what.startswith("linear probe of its features across domains, mine")
    assert not list(suite.SUITE.headlines(rows))  # a mean of pairs has no interval
    one = [r for r in linear if r["test"] == "sketch" or r["fit"] == r["test"]]
    (headline,) = suite.SUITE.headlines(one)
    assert headline.low <= headline.value <= headline.high
    assert "name sketch rightly" in headline.clause


def test_images_that_no_probe_can_be_fitted_on_are_refused():
    stimuli = _stimuli()
    alone = dataclasses.replace(stimuli, category=np.array(["cat"] * N))
    with pytest.raises(ValueError, match="mine: no domain has images of two classes"):
        evaluate(("probe",), [_model()], alone)
    bare = dataclasses.replace(_model("bare"), has_features=False)
    with pytest.raises(ValueError, match="probe: bare gives no features"):
        evaluate(("probe",), [bare], stimuli)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("probed") / "many"
    stimuli = _stimuli()
    for i, name in enumerate(stimuli.images):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(stimuli.read(i, 8)).save(root / name)
    return root


@pytest.mark.parametrize("suffix", features_file.SUFFIXES)
def test_a_features_file_of_embed_is_enough(tmp_path, folder, capsys, suffix):
    stimuli = _stimuli()
    vectors = np.stack([stimuli.read(i, 8).mean((0, 1)) for i in range(N)])
    names = [f"elsewhere/many/{name}" for name in stimuli.images]
    order = np.random.default_rng(0).permutation(N + 1)
    names, vectors = [*names, "many/copy/cat/0.png"], np.vstack([vectors, [[0, 0, 0]]])
    path = tmp_path / f"features{suffix}"
    features_file.write(path, [names[i] for i in order], vectors[order], {})
    out = tmp_path / "out"
    common = ("--suite", "probe", "--data", f"domains={folder}", "--out", out)
    code, printed = _run(capsys, "--predictions", path, *common)
    assert code == 0, printed.err
    rows = [json.loads(line) for line in (out / files.ROWS).open()]
    given = evaluate(("probe",), [], stimuli, features={"features": vectors[:N]})
    right = {
        (r["fit"], r["test"], r["measure"], r.get("shots")): r["accuracy"] for r in rows
    }
    # The folder's images come in another order, which decides who is fitted on.
    assert set(right) == {
        (r["fit"], r["test"], r["measure"], r.get("shots")) for r in given.rows
    }
    assert right["photo", "toon", "linear", None] == 1
    assert 0.3 < right["photo", "sketch", "linear", None] < 0.8
    features_file.write(path, names[:-2], vectors[:-2], {})
    code, printed = _run(capsys, "--predictions", path, *common)
    assert code == 2
    assert "has no answer for 1 of the 180 images in many" in printed.err


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "erm"
    write_run(directory, shapes.CLASSES, preset="erm", steps=(3,))
    return directory


def test_a_run_is_probed_on_its_own_images_beside_an_untrained_one(
    tmp_path, run, capsys
):
    out = tmp_path / "out"
    code, printed = _run(
        capsys, "--model", run, "--untrained", "--suite", "probe", "--out", out
    )
    assert code == 0, printed.err
    rows = [json.loads(line) for line in (out / files.ROWS).open()]
    assert {r["model"] for r in rows} == {"erm", "untrained convnet"}
    assert {r["data"] for r in rows} == {"shapes/sketch and sources"}
    n_target = 6 * len(shapes.CLASSES)
    others = [r for r in rows if r.get("fit") == suite.OTHERS]
    assert {(r["test"], r["n"]) for r in others} == {("sketch", n_target)}
    assert next(r for r in rows if r["model"] != "erm")["model/weights"] == (
        "random, seed 0"
    )
    page = (out / files.HTML).read_text()
    assert "Frozen features: shapes/sketch and sources" in page
    assert "that the run was trained on, and tested on others" in page


def test_features_follow_a_part_of_the_images():
    stimuli = _stimuli()
    vectors = np.arange(2 * N).reshape(N, 2)
    opened = opened_lib.Opened(data=(stimuli,), features={"f": vectors})
    part = stimuli.subset(np.array([5, 2]))
    np.testing.assert_array_equal(opened.features_of(part)["f"], vectors[[5, 2]])
