"""The command, from flags to files: results, refusals, a page that fetches nothing."""

import html.parser
import io
import json
import pathlib

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from test_flax_models import write_run

from jigsaw_shape import evaluate
from jigsaw_shape.data import decisions as decisions_lib
from jigsaw_shape.data.embedded import shapes
from jigsaw_shape.reports import evaluation_folder as files
from jigsaw_shape.suites import opened

CATEGORIES = ("cat", "dog", "oven")


def _run(capsys, *arguments):
    """Runs the command in this process; returns its exit code and what it printed."""
    try:
        code = evaluate.main(["evaluate", *map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr()


@pytest.fixture(scope="module")
def conflicts(tmp_path_factory):
    """A cue conflict of 3 x 3 classes; six of its images have a conflict."""
    folder = tmp_path_factory.mktemp("data") / "cue-conflict"
    for n, shape in enumerate(CATEGORIES):
        for m, texture in enumerate(CATEGORIES):
            path = folder / shape / f"{shape}{n + 1}-{texture}{m + 1}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.full((16, 16, 3), 40 * n + 9 * m, np.uint8)
            Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture(scope="module")
def observers(tmp_path_factory, conflicts):
    """Two humans who follow the shape and a network that follows the texture."""
    root = tmp_path_factory.mktemp("observers")
    names = sorted(path.name for path in conflicts.rglob("*.png"))
    cues = [pathlib.Path(name).stem.split("-") for name in names]
    shape, texture = (np.array([c[k][:-1] for c in cues]) for k in (0, 1))
    answers = {"subject-01": shape, "subject-02": shape.copy(), "net": texture}
    answers["subject-02"][1] = decisions_lib.NO_ANSWER
    for name, response in answers.items():
        decided = decisions_lib.Decisions(
            name, "x", "cue_conflict", tuple(names), shape, response
        )
        path = root / "cue-conflict-experiment" / f"{name}.csv"
        decisions_lib.write_csv(decided, path)
    return root


def _predictions(folder, conflicts, texture_of=5):
    """Follows the texture on the first images, then the shape."""
    names = sorted(path.name for path in conflicts.rglob("*.png"))
    lines = []
    for n, name in enumerate(names):
        shape, texture = (part[:-1] for part in pathlib.Path(name).stem.split("-"))
        lines.append(f"{name},{texture if n < texture_of else shape}\n")
    path = folder / "mine.csv"
    path.write_text("image,decision\n" + "".join(lines))
    return path


def make_decisions(observer, response):
    names = tuple(f"{n}.png" for n in range(len(response)))
    category = np.array(["cat"] * len(response))
    return decisions_lib.Decisions(
        observer, "model", "images", names, category, np.array(response)
    )


def _shape_bias(capsys, predictions, conflicts, out, *more):
    """Runs the command on a file of predictions of a cue conflict."""
    data = ("--predictions", predictions, "--data", conflicts)
    return _run(capsys, "--suite", "shape_bias", *data, "--out", out, *more)


class _Links(html.parser.HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self):
        super().__init__()
        self.fetched, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "xlink:href") or (tag == "link" and name == "href"):
                self.fetched.append(value)


def test_predictions_beside_observers(tmp_path, conflicts, observers, capsys):
    out = tmp_path / "out"
    mine = _predictions(tmp_path, conflicts)
    code, printed = _shape_bias(capsys, mine, conflicts, out, "--observers", observers)
    assert code == 0, printed.err
    rows = [json.loads(line) for line in (out / files.ROWS).open()]
    overall = {r["model"]: r for r in rows if "shape_bias" in r and "category" not in r}
    names = sorted(path.name for path in conflicts.rglob("*.png"))
    conflict = [
        n
        for n, name in enumerate(names)
        if len(set(part[:-1] for part in name[:-4].split("-"))) == 2
    ]
    by_texture = sum(n < 5 for n in conflict)
    assert overall["mine"]["n"] == len(conflict) == 6
    assert overall["mine"]["shape_bias"] == pytest.approx(1 - by_texture / 6)
    assert overall["humans"]["shape_bias"] == 1
    assert overall["humans"]["shape_accuracy"] == pytest.approx(11 / 12)
    assert overall["net"]["shape_bias"] == 0
    assert all(row["kind"] == "evaluation" for row in rows)
    assert "mine" in printed.out
    for name in (files.FACTS, files.MARKDOWN, files.HTML):
        assert (out / name).stat().st_size > 100
    figures = sorted(path.name for path in (out / "figures").iterdir())
    assert len(figures) == 8  # overview and three, each as PNG and SVG
    assert "follows outlines where they disagree" in (out / files.MARKDOWN).read_text()
    assert {name.split(".")[-1] for name in figures} == {"png", "svg"}


def test_what_is_written_is_published_format(tmp_path, conflicts, capsys):
    out = tmp_path / "out"
    path = _predictions(tmp_path, conflicts)
    _run(
        capsys,
        "--predictions",
        f"again={path}",
        "--suite",
        "shape_bias",
        "--data",
        conflicts,
        "--out",
        out,
    )
    (decided,) = decisions_lib.read_observers(out / "decisions")
    assert decided.observer == "again"
    assert len(decided.images) == 9
    written = next((out / "decisions").rglob("*.csv"))
    code, _ = _run(
        capsys,
        "--predictions",
        written,
        "--suite",
        "shape_bias",
        "--data",
        conflicts,
        "--out",
        tmp_path / "second",
    )
    assert code == 0
    rows = [
        next(json.loads(line) for line in (folder / files.ROWS).open())
        for folder in (out, tmp_path / "second")
    ]
    assert rows[0]["shape_bias"] == rows[1]["shape_bias"]


def test_the_page_holds_everything_and_fetches_nothing(
    tmp_path, conflicts, observers, capsys
):
    out = tmp_path / "out"
    _run(
        capsys,
        "--predictions",
        f"<b>&={_predictions(tmp_path, conflicts)}",
        "--suite",
        "shape_bias",
        "--data",
        conflicts,
        "--observers",
        observers,
        "--out",
        out,
    )
    page = (out / files.HTML).read_text()
    links = _Links()
    links.feed(page)
    assert links.tags.count("svg") == 4
    assert "script" not in links.tags
    assert all(link.startswith(("data:", "#")) for link in links.fetched)
    assert (
        "http"
        not in page.replace("http://www.w3.org/", "").replace(
            "https://www.w3.org/", ""
        )[page.index("<style") : page.index("</style")]
    )
    assert "&lt;b&gt;&amp;" in page
    assert "<b>&" not in page


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of the embedded data set, as training leaves them."""
    root = tmp_path_factory.mktemp("runs")
    classes = shapes.CLASSES
    write_run(root / "erm", classes, preset="erm", steps=(3,))
    write_run(root / "jigen", classes, preset="jigen", steps=(3,))
    return root


def test_a_head_that_reads_tiles_encoded_apart_is_asked(tmp_path, capsys):
    run = tmp_path / "apart"
    write_run(run, shapes.CLASSES, preset="puzzle", steps=(3,), jigsaw__encode="tiles")
    arguments = ["--suite", "puzzle", "--n-images", 24, "--out", tmp_path / "out"]
    code, printed = _run(capsys, "--model", run, *arguments)
    assert code == 0, printed.err
    rows = [json.loads(line) for line in (tmp_path / "out" / files.ROWS).open()]
    (row,) = (row for row in rows if row["condition"] == "jigsaw")
    assert row["n"] == 24
    assert np.sum(row["confusion"]) == 48  # in order, and shuffled


def test_runs_share_their_own_images(tmp_path, runs, capsys):
    out = tmp_path / "out"
    code, printed = _run(
        capsys,
        "--model",
        runs / "erm",
        "--model",
        runs / "jigen",
        "--suite",
        "target",
        "--suite",
        "shape_bias",
        "--suite",
        "puzzle",
        "--n-images",
        24,
        "--out",
        out,
    )
    assert code == 0, printed.err
    rows = [json.loads(line) for line in (out / files.ROWS).open()]

    def found(**wanted):
        return [r for r in rows if wanted.items() <= r.items()]

    for model in ("erm", "jigen"):
        (target,) = [
            r
            for r in found(suite="target", model=model)
            if "accuracy" in r and "category" not in r
        ]
        assert target["n"] == 6 * len(shapes.CLASSES)  # all, not only --n-images
        assert target["model/preset"] == model
        levels = found(suite="puzzle", model=model, condition="shuffled")
        assert [r["n"] for r in levels if "accuracy" in r] == [24] * 3
    assert [r["model"] for r in found(condition="jigsaw") if "chance" in r] == ["jigen"]
    assert found(suite="puzzle", model="erm", versus="jigen")
    assert found(suite="shape_bias", model="jigen")
    assert any("seeded choice of 24" in line for line in printed.out.splitlines())
    written = {path.parent.name for path in (out / "decisions").rglob("*.csv")}
    assert written == {"images", "cue_conflict"}
    facts = json.loads((out / files.FACTS).read_text())
    assert facts["data"]["shapes/sketch"]["n_images"] == 6 * len(shapes.CLASSES)
    assert {passed["data"] for passed in facts["speed"]} == {
        "shapes/sketch",
        "shapes/cue conflict",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--suite", "shape_bias"), "no model: give --model"),
        (("--suite", "target", "--batch-size", 3), "--batch-size is 3"),
        (("--suite", "target", "--data", "absent"), "absent is not a folder"),
        (("--suite", "target", "--data", "nonsense=x"), "nonsense is no experiment"),
        (("--suite", "target", "--data", "cue-conflict=x"), "x is not a folder"),
        (("--suite", "target", "--mean", "1,2,3"), "need an ONNX file"),
        (("--suite", "target", "--model", "absent"), "'absent': no such run"),
        (("--suite", "target", "--predictions", "x.csv"), "--data names 0"),
        (("--suite", "target", "--observers", "absent"), "absent is not a folder"),
        (("--suite", "target", "--model", "timm:x"), "--model is 'timm:x'"),
    ],
)
def test_refusals_are_one_line_and_code_2(tmp_path, capsys, arguments, message):
    code, printed = _run(capsys, *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("evaluate: ")
    assert not (tmp_path / "out").exists()


def test_images_that_a_model_cannot_answer_are_refused(
    tmp_path, runs, conflicts, capsys
):
    common = ("--model", runs / "erm", "--out", tmp_path / "out")
    code, printed = _run(capsys, *common, "--suite", "shape_bias", "--data", conflicts)
    assert code == 2
    assert "shows cat, dog, oven: erm can answer cat; two are needed" in printed.err
    code, printed = _run(
        capsys,
        *common,
        "--suite",
        "target",
        "--selection",
        "oracle",
        "--model",
        f"erm={runs / 'jigen'}",
    )
    assert code == 2
    assert "two models are called erm" in printed.err


def test_a_run_that_was_moved_is_asked_for_its_images_where_it_is(runs):
    arguments = ["--suite", "target", "--batch-size", "4", "--model"]
    args = evaluate._parser().parse_args([*arguments, str(runs / "erm")])
    (model,) = opened.open_all(args, 4).models
    assert model.config.workdir == str(runs / "erm")


def test_a_mapping_of_classes_that_no_model_has_is_refused(runs, tmp_path):
    mapping = tmp_path / "mapping.csv"
    arguments = ["--suite", "target", "--batch-size", "4", "--mapping", str(mapping)]
    args = evaluate._parser().parse_args([*arguments, "--model", str(runs / "erm")])
    mapping.write_text(f"{shapes.CLASSES[0]},cat\nno such class,dog\n")
    (note,) = opened.open_all(args, 4).notes
    assert note.endswith("mapping.csv: no model has no_such_class")
    mapping.write_text("oven,cat\n")
    with pytest.raises(ValueError, match="no model has any of its classes, oven"):
        opened.open_all(args, 4)


def test_a_model_called_as_an_observer_is_told_apart(
    tmp_path, conflicts, observers, capsys
):
    mine = _predictions(tmp_path, conflicts, texture_of=0)
    beside = ("--observers", observers)
    out = tmp_path / "out"
    code, printed = _shape_bias(capsys, f"net={mine}", conflicts, out, *beside)
    assert code == 0, printed.err
    rows = [json.loads(line) for line in (out / files.ROWS).open()]
    overall = [r for r in rows if "shape_bias" in r and "category" not in r]
    biases = {r["model"]: r["shape_bias"] for r in overall}
    assert (biases["net"], biases["net (published)"]) == (1, 0)
    code, printed = _shape_bias(
        capsys, f"humans={mine}", conflicts, tmp_path / "other", *beside
    )
    assert code == 2
    assert "a model is called humans" in printed.err


def test_a_folder_that_cannot_be_made_is_refused_first(tmp_path, conflicts, capsys):
    (tmp_path / "file").touch()
    mine = _predictions(tmp_path, conflicts)
    code, printed = _shape_bias(capsys, mine, conflicts, tmp_path / "file" / "out")
    assert code == 2
    assert len(printed.err.splitlines()) == 1
    assert "cue-conflict:" not in printed.out  # nothing was measured


def test_models_whose_names_differ_in_punctuation_keep_their_decisions(
    tmp_path, conflicts, capsys
):
    out, labels = tmp_path / "out", ("erm+ema", "erm ema", "erm-ema", "ERM-ema")
    mine = _predictions(tmp_path, conflicts)
    more = [
        part for label in labels[1:] for part in ("--predictions", f"{label}={mine}")
    ]
    code, printed = _shape_bias(capsys, f"{labels[0]}={mine}", conflicts, out, *more)
    assert code == 0, printed.err
    written = list((out / "decisions").rglob("*.csv"))
    assert len({path.name.casefold() for path in written}) == len(labels)
    found = decisions_lib.read_observers(out / "decisions")
    assert {one.observer for one in found} == set(labels)


def test_labels_in_brackets_are_printed_as_they_are(tmp_path, conflicts, capsys):
    mine = _predictions(tmp_path, conflicts)
    code, printed = _shape_bias(
        capsys, f"erm[bold]={mine}", conflicts, tmp_path / "out[dim]"
    )
    assert code == 0, printed.err
    assert "erm[bold]" in printed.out
    assert "out[dim]" in printed.out


def test_a_bar_takes_a_name_in_brackets():
    console = Console(file=io.StringIO(), force_terminal=True)
    with evaluate._bars(console)("a[/b]", 3) as update:
        update(2)
    assert "a[/b]" in console.file.getvalue()


def test_decisions_on_other_images_of_the_same_names_are_kept_apart():
    one = make_decisions("m", ["cat", "cat"])
    other, same = (
        make_decisions("m", ["cat", "dog"]),
        make_decisions("n", ["dog", "dog"]),
    )
    folders = [f for _, f in files._with_folders([one, other, same, one])]
    assert folders == ["images", "images-2", "images", "images"]


def test_an_evaluation_that_was_killed_while_writing_is_replaced(
    tmp_path, conflicts, capsys, monkeypatch
):
    out, mine = tmp_path / "out", _predictions(tmp_path, conflicts)

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_csv", die)
        with pytest.raises(KeyboardInterrupt):
            _shape_bias(capsys, mine, conflicts, out)
    assert [path.name for path in out.iterdir()] == [files.FACTS]
    code, printed = _shape_bias(capsys, mine, conflicts, out)
    assert code == 0, printed.err
    with monkeypatch.context() as patch:  # the rows say that the rest is there
        patch.setattr(files.page, "make", die)
        with pytest.raises(KeyboardInterrupt):
            _shape_bias(capsys, mine, conflicts, out)
    assert not (out / files.ROWS).exists()
    assert _shape_bias(capsys, mine, conflicts, out)[0] == 0
    (out / files.ROWS).unlink()
    (out / "thesis.tex").touch()
    code, printed = _shape_bias(capsys, mine, conflicts, out)
    assert code == 2
    assert "holds other files" in printed.err


def test_other_peoples_folders_are_not_written_to(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("dear reader")
    code, printed = _run(capsys, "--suite", "target", "--out", tmp_path)
    assert code == 2
    assert "holds other files" in printed.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
