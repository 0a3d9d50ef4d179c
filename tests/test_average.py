"""The command `average`, on runs of the embedded data set, against plain NumPy."""

import json

import jax
import numpy as np
import pytest
from small_runs import arguments

from jigsaw_shape import average, train
from jigsaw_shape.classifiers.open import open_classifier
from jigsaw_shape.runs import records, rows, stored_weights
from jigsaw_shape.training import averaged_runs

STEPS = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the preset swad, evaluated after each of its four steps."""
    directory = tmp_path_factory.mktemp("runs") / "swad"
    changes = {"epochs": 0, "steps": 4, "diversify__p_shuffled": "(0.0,)"}
    assert train.main(["train", *arguments(directory, "swad", **changes)]) == 0
    return directory


def _stored(run, step):
    return stored_weights.read_variables(run / "checkpoints", step)


def _assert_same(ours, expected):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), ours, expected
    )


def test_swad_joins_the_segments_of_its_window(run, tmp_path):
    out = tmp_path / "out"
    assert (
        average.main(["average", str(run), "--checkpoints", "swad", "--out", str(out)])
        == 0
    )
    about = json.loads((out / "run.json").read_text())["starts"][0]["averaged"]
    chosen = [step for _, step, _ in about["parts"]]
    trees = [_stored(run, step) for step in chosen]
    expected = jax.tree.map(lambda *leaves: np.mean(leaves, 0), *trees)
    opened = open_classifier(out, selection="last")
    _assert_same(dict(opened.network.variables), expected)
    evaluations = [row for row in rows.read(run) if row["kind"] == "eval"]
    first, last = averaged_runs.window([row["val/loss"] for row in evaluations])
    assert chosen == [row["step"] for row in evaluations[first : last + 1]]

    record = records.read(out)
    assert record.status == "finished"
    assert record.preset == "swad+swad"
    before = records.read(run)
    assert record.protocol == before.protocol
    assert (record.target, record.seed) == (before.target, before.seed)
    assert set(record.results) == set(rows.RULES)


def test_statistics_are_made_anew_and_weights_stay(run, tmp_path):
    out = tmp_path / "out"
    flags = ["--checkpoints", "all", "--norm-batches", "2", "--out", str(out)]
    assert average.main(["average", str(run), *flags]) == 0
    trees = [_stored(run, step) for step in STEPS]
    expected = jax.tree.map(lambda *leaves: np.mean(leaves, 0), *trees)
    found = _stored(out, 4)
    _assert_same(found["params"], expected["params"])
    moved = jax.tree.map(
        lambda a, b: np.abs(a - b).max(), found["batch_stats"], expected["batch_stats"]
    )
    assert max(jax.tree.leaves(moved)) > 1e-3


def test_interpolation_moves_the_encoder_and_keeps_the_heads():
    initial = {
        "params": {"encoder": {"w": np.zeros(2)}, "head": np.ones(2)},
        "batch_stats": {"encoder": {"mean": np.full(2, 4.0)}},
    }
    trained = {
        "params": {"encoder": {"w": np.full(2, 8.0)}, "head": np.full(2, 5.0)},
        "batch_stats": {"encoder": {"mean": np.zeros(2)}},
    }
    found = averaged_runs.interpolate(initial, trained, 0.75)
    np.testing.assert_array_equal(found["params"]["encoder"]["w"], 6)
    np.testing.assert_array_equal(found["params"]["head"], 5)
    np.testing.assert_array_equal(found["batch_stats"]["encoder"]["mean"], 1)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "its mean is itself"),
        (["--from-initial", "0.5"], "random weights"),
        (["--from-initial", "2"], "use 0, initial, to 1"),
        (["--selection", "oracle", "--checkpoints", "all"], "last or val"),
        (["--norm-batches", "-1"], "0 or more"),
    ],
)
def test_what_makes_no_average_is_refused(run, tmp_path, capsys, flags, words):
    with pytest.raises(SystemExit):
        average.main(["average", str(run), *flags, "--out", str(tmp_path / "out")])
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_runs_that_do_not_fit_together_are_refused(run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    config = json.loads((run / "config.json").read_text())
    config["data"]["target"] = "photo"
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"data\.target='photo'.*'sketch'"):
        averaged_runs.choose([run, other], "selected", "val")


def test_checkpoints_that_were_not_kept_are_named(run, tmp_path):
    fewer = tmp_path / "fewer"
    (fewer / "checkpoints").mkdir(parents=True)
    for name in ("config.json", "run.json", rows.FILE_NAME):
        (fewer / name).write_text((run / name).read_text())
    with pytest.raises(ValueError, match=r"steps 1, 2, 3, 4: train it with"):
        averaged_runs.choose([fewer], "all", "val")
