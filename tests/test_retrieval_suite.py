"""The suite `retrieval` from images to files: rows, passes, figure, refusals."""

import contextlib
import dataclasses
import json

import jax
import numpy as np
import pytest
from PIL import Image
from small_stimuli import evaluate, make_stimuli
from test_evaluate import _run
from test_flax_models import _growth, write_run

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.embedded import shapes
from jigsaw_shape.measures import retrieval
from jigsaw_shape.pixels import resampling
from jigsaw_shape.reports import evaluation_folder as files
from jigsaw_shape.reports import look
from jigsaw_shape.reports import table as table_lib
from jigsaw_shape.suites import classes, opened, retrieval_figures, seen
from jigsaw_shape.suites import retrieval as retrieval_suite
from jigsaw_shape.suites.evaluator import Evaluator, NonFiniteError
from jigsaw_shape.suites.opened import Opened
from jigsaw_shape.suites.suite import Job

CLASSES = ("cat", "dog")
MATCHES = {"m": classes.match(CLASSES, CLASSES)}
DOMAINS = ("photo", "sketch")
N = 12


def _stimuli():
    """Images whose first channel says their class and whose second their domain."""
    category = np.array([CLASSES[n % 2] for n in range(N)])
    domain = np.array([DOMAINS[n // 6] for n in range(N)])

    def read(i, px):
        pixels = np.full((px, px, 3), 5 * i, np.uint8)
        pixels[..., 0] = 200 * (category[i] == "dog")
        pixels[..., 1] = 100 if domain[i] == "photo" else 50
        return pixels

    cells = zip(domain, category, strict=True)
    names = [f"{d}/{c}/{n}" for n, (d, c) in enumerate(cells)]
    return make_stimuli(names, category, read, experiment="domains", domain=domain)


@contextlib.contextmanager
def _no_bar(title, n_images):
    yield lambda n_done: None


def _model(name="m", scale=1.0, shown=None, classes=CLASSES):
    """A model whose features are its image's mean colours, times `scale`."""

    def predict(images, orders=None):
        means = np.asarray(images).mean((1, 2))
        if shown is not None:
            shown.extend(np.rint(255 * means[:, 2] / 5).astype(int).tolist())
        scores = np.stack([0.4 - means[:, 0], means[:, 0] - 0.4], 1)
        return {"classification": scores, "features": np.float32(scale * means)}

    return Classifier(name, classes, 8, 4, predict, has_features=True)


def _search(models, stimuli, **fields):
    return evaluate(("retrieval",), models, stimuli, **fields)


def _expected(stimuli):
    images = np.stack([stimuli.read(i, 8) for i in range(N)])
    features = np.float32((images / np.float32(255)).mean((1, 2)))
    labels = (stimuli.category == "dog").astype(int)
    domains = (stimuli.domain == "sketch").astype(int)
    return features, labels, domains


def test_rows_are_those_of_the_images_features():
    stimuli = _stimuli()
    models = [_model(), _model("double", 2, classes=("other", "names"))]
    results = _search(models, stimuli)
    features, labels, domains = _expected(stimuli)
    found = retrieval.between(features, labels, domains, DOMAINS)
    rows = [r for r in results.rows if r.get("measure") == "retrieval"]
    assert len(rows) == 2 * 4
    for row in rows:
        cell = found[row["query"], row["gallery"]]
        assert row["map"] == pytest.approx(cell.map, abs=1e-6)
        assert row["n_queries"] == 6
        assert (row["suite"], row["data"], row["group"]) == (
            "retrieval",
            "mine",
            "model",
        )
    norms = {
        (r["model"], r["domain"]): r for r in results.rows if r.get("measure") == "norm"
    }
    for domain in DOMAINS:
        one, other = norms["m", domain], norms["double", domain]
        assert other["mean"] == pytest.approx(2 * one["mean"], rel=1e-5)
        assert other["ratio"] == pytest.approx(one["ratio"], rel=1e-5)
    gaps = [r for r in results.rows if "difference" in r]
    pairs = [f"{query} → {gallery}" for query in DOMAINS for gallery in DOMAINS]
    assert [r["condition"] for r in gaps] == pairs
    assert [r["difference"] for r in gaps] == pytest.approx([0] * 4, abs=1e-6)


def test_each_image_is_shown_once_and_not_again_after_another_suite():
    shown, stimuli = [], _stimuli()
    target = dataclasses.replace(stimuli, experiment="images", name="target")
    target = target.subset(np.arange(6, N))
    models = (_model(shown=shown), _model("new"))
    opened = Opened(models, (stimuli, target))
    evaluator = Evaluator(opened, 0, 0, _no_bar, keep_features=True)
    evaluator.run(Job(target, models[:1], False, ("target",), MATCHES))
    assert set(shown) == set(range(6, N))
    shown.clear()
    evaluator.run(Job(stimuli, models, False, ("retrieval",)))
    assert set(shown) == set(range(6))
    n = [passed["n_answers"] for passed in evaluator.results.speed]
    assert n == [6, 6, 12]
    alone = _search(models[:1], stimuli).rows
    rows = [r for r in evaluator.results.rows if r.get("model") == "m"]
    assert [r for r in rows if "measure" in r] == alone


def test_features_from_files_stand_beside():
    stimuli = _stimuli()
    features, _, _ = _expected(stimuli)
    results = _search([_model()], stimuli, features={"theirs": features})
    rows = {
        (r["model"], r["query"], r["gallery"]): r["map"]
        for r in results.rows
        if r.get("measure") == "retrieval"
    }
    for query in DOMAINS:
        ours, theirs = rows["m", query, "photo"], rows["theirs", query, "photo"]
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_features_that_are_no_numbers_name_model_and_image():
    def predict(images, orders=None):
        features = np.zeros((len(images), 2), np.float32)
        features[1] = np.nan
        return {"classification": features, "features": features}

    model = Classifier("bad", CLASSES, 8, 4, predict, has_features=True)
    with pytest.raises(
        NonFiniteError, match="bad answers photo/dog/1 with features that"
    ):
        _search([model], _stimuli())


def _rows(n_models=2, names=DOMAINS):
    models = [_model(f"m{n}", 1 + n) for n in range(n_models)]
    return [r for r in _search(models, _stimuli()).rows if "measure" in r]


def test_a_figure_shows_every_model_and_number(tmp_path):
    rows = _rows()
    with look.look():
        figure = retrieval_figures.figure(rows, "remark")
    figure.savefig(tmp_path / "retrieval.png")
    titles = [axes.get_title("left") for axes in figure.axes]
    for model in ("m0", "m1"):
        axes = figure.axes[titles.index(model)]
        texts = [text.get_text() for text in axes.texts]
        own = [r for r in rows if r["model"] == model and r["measure"] == "retrieval"]
        expected = [
            (f"{100 * r['map']:.1f}", f"chance {100 * r['chance']:.0f}") for r in own
        ]
        assert texts == [text for pair in expected for text in pair]
        norms = figure.axes[titles.index(model) + 1]
        ratios = [r["ratio"] for r in rows if r["model"] == model and "ratio" in r]
        assert [text.get_text() for text in norms.texts] == [f"{r:.2f}" for r in ratios]


def _texts(table):
    return [[cell.text for cell in row] for row in table.body]


def _texts(table):
    return [[cell.text for cell in row] for row in table.body]


def test_tables_have_every_pair_and_domain():
    rows = _rows()
    precisions, early, first, lengths = retrieval_suite.SUITE.tables(rows, "mine")
    assert [row[0] for row in _texts(precisions)] == [
        *(f"{a} → {b}" for a in DOMAINS for b in DOMAINS),
        *("between two, mean", "within one, mean"),
    ]
    assert len(precisions.header) == len(_texts(precisions)[0]) == 5
    row = next(r for r in rows if r["measure"] == "retrieval")
    assert _texts(precisions)[0][3].startswith(table_lib.percent(row["map"]))
    assert _texts(early)[0][1].endswith(f"/ {table_lib.NONE}")  # fewer than ten
    assert _texts(first)[0][1] == " / ".join(
        table_lib.percent(row[key])
        for key in ("recall_at_1", "recall_at_5", "mrr", "map_at_200")
    )
    assert [row[:2] for row in _texts(lengths)] == [
        [m, d] for m in ("m0", "m1") for d in DOMAINS
    ]


def test_queries_that_a_run_never_saw_are_marked():
    about = {"dataset": "mine", "target": "sketch", "sources": "photo"}
    run = dataclasses.replace(_model("run", classes=("Cat",)), about=about)
    results = _search([run, _model("other")], _stimuli())
    rows = [r for r in results.rows if r.get("measure") == "retrieval"]
    for row in rows:
        if row["model"] == "other":
            assert "query_domain_seen" not in row
            continue
        assert row["query_domain_seen"] == (row["query"] == "photo")
        assert row["n_unseen"] == 3  # dogs
        means = (row["map_seen"] + row["map_unseen"]) / 2
        assert means == pytest.approx(row["map"])
    tables = list(retrieval_suite.SUITE.tables(results.rows, "mine"))
    (strange,) = [t for t in tables if "saw nothing like" in t.title]
    assert [row[2] for row in _texts(strange)] == 2 * ["trained on"] + 2 * [
        "never seen"
    ]
    with look.look():
        figure = retrieval_figures.figure([r for r in results.rows if "measure" in r])
    ticks = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert ticks == ["photo", "sketch*"]
    adapted = dataclasses.replace(run, about={**about, "setting": "adaptation"})
    assert seen.of_domains(adapted, _stimuli())["sketch"]
    unset = dataclasses.replace(run, about={**about, "sources": ""})
    own = dataclasses.replace(_stimuli(), experiment="images")
    assert seen.of_domains(unset, own) == {"photo": True, "sketch": False}
    assert seen.of_domains(unset, _stimuli()) == {"photo": False, "sketch": False}


def test_a_map_shows_each_model_with_a_mark_for_each_domain():
    results = _search([_model(), _model("other", 2)], _stimuli())
    kept = results.kept["retrieval", "mine"]
    assert kept["of m"].shape == (N, 2)
    places = {name: kept[f"of {name}"] for name in ("m", "other")}
    with look.look():
        figure = retrieval_figures.map_figure(places, kept["category"], kept["domain"])
    shown = [axes for axes in figure.axes if axes.collections]
    assert [axes.get_title("left") for axes in shown] == ["m", "other"]
    assert sum(len(c.get_offsets()) for c in shown[0].collections) == N
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [*DOMAINS, *CLASSES]
    with look.look():
        section = retrieval_suite.SUITE.section(results.rows, "mine", results, {})
    assert "retrieval_map_mine" in section.figures


def test_domains_without_a_class_in_common_are_left_blank():
    stimuli = _stimuli()
    apart = np.char.add(stimuli.domain, stimuli.category)
    results = _search([_model()], dataclasses.replace(stimuli, category=apart))
    rows = [r for r in results.rows if "measure" in r]
    blank = [r for r in rows if r.get("query") not in (None, r.get("gallery"))]
    assert [(r["map"], r["n_queries"]) for r in blank] == [(None, 0)] * 2
    json.dumps(rows, allow_nan=False)
    axes = retrieval_figures.figure(rows).axes[0]
    assert [text.get_text() for text in axes.texts].count(table_lib.NONE) == 2
    precisions, *_ = retrieval_suite.SUITE.tables(rows, "mine")
    assert _texts(precisions)[1][1:] == ["0", table_lib.NONE, table_lib.NONE]
    lead = retrieval_suite.SUITE.section(rows, "mine", results, {}).lead
    assert "mAP within a domain (mean over 2 pairs" in lead
    ((number, what, share), *_) = retrieval_suite.SUITE.facts(rows)
    assert number == f"{100 * share:.1f} %"
    assert what.endswith("mine")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three images of each of two classes in each of two domains."""
    root = tmp_path_factory.mktemp("searched") / "many"
    stimuli = _stimuli()
    for i, name in enumerate(stimuli.images):
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(stimuli.read(i, 16)).save(path)
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the embedded data set, as training leaves it, and what it learned."""
    directory = tmp_path_factory.mktemp("runs") / "erm"
    return directory, *write_run(directory, shapes.CLASSES, preset="erm", steps=(3,))


def _on_one_device(learner, variables):
    """Returns features of the same images by a plain call, which knows no devices."""
    grown = jax.tree.map(lambda x: x * _growth(3), variables["params"])
    images = np.stack([_stimuli().read(i, 16) for i in range(N)])
    seen = resampling.resize(images, 24)
    outputs = learner.model.apply({**variables, "params": grown}, seen, train=False)
    return np.asarray(outputs["features"])


def test_the_command_writes_rows_tables_figure_and_page(tmp_path, folder, run, capsys):
    out = tmp_path / "out"
    code, printed = _run(
        capsys,
        *("--model", run[0], "--model", f"again={run[0]}", "--batch-size", 8),
        *("--suite", "retrieval", "--data", f"domains={folder}", "--out", out),
    )
    assert code == 0, printed.err
    rows = [json.loads(line) for line in (out / files.ROWS).open()]
    found = [r for r in rows if r.get("measure") == "retrieval"]
    assert {(r["model"], r["query"], r["gallery"]) for r in found} == {
        (m, q, g) for m in ("erm", "again") for q in DOMAINS for g in DOMAINS
    }
    assert all(r["kind"] == "evaluation" for r in found)
    features = _on_one_device(*run[1:])
    _, labels, domains = _expected(_stimuli())
    expected = retrieval.between(features, labels, domains, DOMAINS)
    for row in found:
        cell = expected[row["query"], row["gallery"]]
        assert row["map"] == pytest.approx(cell.map, abs=1e-6)
    norms = next(r for r in rows if r.get("domain") == "sketch" and "median" in r)
    lengths = np.linalg.norm(features, axis=1)[domains == 1]
    assert norms["median"] == pytest.approx(np.median(lengths), rel=1e-4)
    assert {p.name for p in (out / "figures").iterdir()} >= {
        *("retrieval_many.png", "retrieval_many.svg"),
    }
    assert "photo → sketch" in (out / files.MARKDOWN).read_text()
    page = (out / files.HTML).read_text()
    assert "Finding a class in another domain: many" in page
    assert "chance is a random order" in page
    facts = json.loads((out / files.FACTS).read_text())
    assert [passed["n_answers"] for passed in facts["speed"]] == [2 * N]


def test_a_run_is_searched_in_what_it_was_not_trained_on(tmp_path, run, capsys):
    out = tmp_path / "out"
    code, printed = _run(
        capsys,
        *("--model", run[0], "--suite", "retrieval", "--suite", "target"),
        *("--out", out),
    )
    assert code == 0, printed.err
    assert "the run was trained on none of them" in printed.out
    rows = [json.loads(line) for line in (out / files.ROWS).open()]
    norms = {r["domain"]: r["n"] for r in rows if r.get("measure") == "norm"}
    n_target = 6 * len(shapes.CLASSES)
    assert norms["sketch"] == n_target
    assert all(n < n_target / 4 for d, n in norms.items() if d != "sketch")
    facts = json.loads((out / files.FACTS).read_text())
    shown = [passed["n_answers"] for passed in facts["speed"]]
    assert shown == [n_target, sum(norms.values()) - n_target]


def test_predictions_may_be_features_alone(tmp_path, folder, capsys):
    features, _, _ = _expected(_stimuli())
    order = np.random.default_rng(0).permutation(N)
    path = tmp_path / "theirs.npz"
    names = np.array([f"/elsewhere/{name}.png" for name in _stimuli().images])
    np.savez(path, images=names[order], features=features[order])
    out = tmp_path / "out"
    common = ("--suite", "retrieval", "--data", f"domains={folder}", "--out", out)
    code, printed = _run(capsys, "--predictions", path, *common)
    assert code == 0, printed.err
    rows = [json.loads(line) for line in (out / files.ROWS).open()]
    cell = next(r for r in rows if (r.get("query"), r.get("gallery")) == DOMAINS)
    expected = retrieval.between(*_expected(_stimuli()), DOMAINS)[DOMAINS]
    assert cell["map"] == pytest.approx(expected.map, abs=1e-6)
    features[2] = np.inf
    np.savez(path, images=names, features=features)
    code, printed = _run(capsys, "--predictions", path, *common)
    assert code == 2
    assert "1 image with features that are not finite numbers" in printed.err
    csv = tmp_path / "only.csv"
    csv.write_text("image,decision\n" + "".join(f"{n},cat\n" for n in names))
    code, printed = _run(capsys, "--predictions", csv, *common)
    assert code == 2
    assert "the predictions only hold no features" in printed.err
    assert len(printed.err.splitlines()) == 1


def test_what_cannot_be_searched_is_refused_in_one_line(
    tmp_path, folder, run, capsys, monkeypatch
):
    alone = tmp_path / "alone"
    (alone / "photo").mkdir(parents=True)
    (alone / "photo" / "cat").symlink_to(folder / "photo" / "cat")
    common = ("--suite", "retrieval", "--out", tmp_path / "out")
    data = ("--data", f"domains={alone}")
    code, printed = _run(capsys, "--model", run[0], *data, *common)
    assert code == 2
    assert "alone shows one class, cat: retrieval needs" in printed.err
    model = dataclasses.replace(_model("bare"), has_features=False)
    monkeypatch.setattr(opened, "open_classifier", lambda path, **fields: model)
    code, printed = _run(
        capsys, "--model", "bare.onnx", *common, "--data", f"domains={folder}"
    )
    assert code == 2
    assert "bare gives no features to compare: an ONNX file needs" in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
