"""The command `average`, on runs of the embedded data set, against plain NumPy."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import REPOSITORY
from PIL import Image
from test_checks import load_config

from jigsaw_shape import average
from jigsaw_shape.classifiers.open import open_classifier
from jigsaw_shape.data import sources
from jigsaw_shape.data.image_store import ImageStore, epoch_order
from jigsaw_shape.diversify.schedule import Styling
from jigsaw_shape.runs import directory, fingerprint, records, rows, stored_weights
from jigsaw_shape.training import averaged_runs, averaging, run_data, workshop
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.checkpoints import Checkpoints

# Step -> the validation loss there; the window of SWAD is all but the first.
LOSSES = {10: 3.0, 20: 1.0, 24: 1.1, 30: 1.2}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the preset swad as training leaves it, its weights drawn anew."""
    folder = tmp_path_factory.mktemp("runs") / "swad"
    folder.mkdir()
    config = load_config(REPOSITORY / "configs" / "shapes.py", "swad")
    config.update_from_flattened_dict(
        {
            "data.n_per_class": 6,
            "data.n_cue_conflict_per_class": 4,
            "data.stored_px": 16,
            "data.image_size": 12,
            "data.batch_size": 16,
            "eval.batch_size": 64,
            "losses.edges": 0.1,  # a head that reads the last map is opened too
        }
    )
    (folder / "config.json").write_text(fingerprint.to_json(config))
    images = sources.load_dataset(config.data).digest()
    (folder / "run.json").write_text(json.dumps({"starts": [{"images": images}]}))
    learner = learner_lib.make_learner(config, 8, 4)
    shapes = jax.eval_shape(
        lambda: learner.model.init(jax.random.key(0), jnp.zeros((1, 12, 12, 3)), False)
    )
    rng = np.random.default_rng(0)
    rows_of = []
    with Checkpoints(folder / "checkpoints", keep_evaluated=True) as checkpoints:
        for step, loss in LOSSES.items():
            variables = jax.tree.map(
                lambda x: rng.uniform(0.5, 1, x.shape).astype(np.float32), shapes
            )
            state = step_lib.init_state(
                variables,
                optax.identity(),
                jax.random.key(0),
                averaging.Average(),
            )
            measures = {"val/accuracy": 0.5, "target/accuracy": 0.5, "val/loss": loss}
            checkpoints.save(state.replace(step=np.int32(step)), measures)
            row = {"kind": "eval", "step": step, "epoch": step / 10, **measures}
            rows_of.append(json.dumps(row) + "\n")
    (folder / rows.FILE_NAME).write_text("".join(rows_of))
    return folder


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
    assert chosen == [20, 24, 30]  # segments of 10, 4 and 6 steps
    trees = [_stored(run, step) for step in chosen]
    expected = jax.tree.map(
        lambda *leaves: np.average(leaves, axis=0, weights=(10, 4, 6)), *trees
    )
    opened = open_classifier(out, selection="last")
    _assert_same(dict(opened.network.variables), expected)
    record = records.read(out)
    assert record.status == "finished"
    assert record.preset == "swad+swad"
    assert record.protocol["images"] == records.read(run).protocol["images"]
    assert (record.target, record.seed) == ("sketch", 0)
    assert set(record.results) == set(rows.RULES)


def _of_batches(run, variables, n_batches):
    """Returns each batch's own statistics: zeros move a tenth of the way to them."""
    config = directory.read_config(run)
    dataset, splits = run_data.load_again(config)
    store = ImageStore(dataset, cache="none", stored_px=config.data.stored_px)
    learner = learner_lib.make_learner(
        config, len(dataset.classes), len(dataset.domains)
    )
    alone = learner.model.encoder.clone(norm_axis=None)
    model = learner.model.clone(encoder=alone)
    zeros = jax.tree.map(np.zeros_like, variables["batch_stats"])

    @jax.jit
    def moved(step, batch):
        seen = learner.view(
            jax.random.fold_in(learner_lib.step_rng(config), step),
            0.0,
            jnp.arange(len(batch["label"])),
            batch["image"],
            batch["domain"],
            Styling(),
        )
        given = {"params": variables["params"], "batch_stats": zeros}
        return model.apply(given, seen.images, True, mutable=["batch_stats"])[1]

    order = epoch_order(
        dataset.domain, splits.train, seed=0, epoch=0, sampling="proportional"
    )
    chunks = order[: 16 * n_batches].reshape(n_batches, 16)
    found = [moved(step, store.batch(chunk)) for step, chunk in enumerate(chunks)]
    return [jax.tree.map(lambda x: x / 0.1, each["batch_stats"]) for each in found]


def test_statistics_are_the_mean_over_batches_and_weights_stay(run, tmp_path):
    out = tmp_path / "out"
    flags = ["--checkpoints", "all", "--norm-batches", "3", "--out", str(out)]
    assert average.main(["average", str(run), *flags]) == 0
    trees = [_stored(run, step) for step in LOSSES]
    averaged = jax.tree.map(lambda *leaves: np.mean(leaves, 0), *trees)
    assert records.read(out).preset == "swad+all+norm3"
    found = _stored(out, 30)
    _assert_same(found["params"], averaged["params"])
    batches = _of_batches(run, averaged, 3)
    means = jax.tree.map(lambda *leaves: np.mean(leaves, 0), *batches)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        found["batch_stats"],
        means,
    )


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


@pytest.mark.parametrize(
    ("field", "value", "of_run"),
    [
        ("target", "photo", "sketch"),
        ("split", "none", "jigen"),
        ("setting", "adaptation", "generalization"),
    ],
)
def test_runs_that_do_not_fit_together_are_refused(run, tmp_path, field, value, of_run):
    other = tmp_path / "other"
    other.mkdir()
    config = json.loads((run / "config.json").read_text())
    config["data"][field] = value
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=rf"data\.{field}='{value}'.*'{of_run}'"):
        averaged_runs.choose([run, other], "selected", "val")


def _changed(run, folder, **fields):
    """Returns a copy of a run with other fields in its configuration."""
    shutil.copytree(run, folder)
    config = directory.read_config(run)
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in fields.items()}
    )
    (folder / "config.json").write_text(fingerprint.to_json(config))
    return folder


@pytest.mark.parametrize(
    ("fields", "flags", "words"),
    [
        (
            {"averaging__trained": 0.5},
            ["--from-initial", "0.5"],
            "on the way back already",
        ),
        (
            {"model__freeze_norm": True},
            ["--norm-batches", "2"],
            "freeze_norm=True): leave out --norm-batches",
        ),
    ],
)
def test_every_run_has_to_fit_the_flags(run, tmp_path, capsys, fields, flags, words):
    other = _changed(run, tmp_path / "other", **fields)
    out = tmp_path / "out"
    with pytest.raises(SystemExit):
        average.main(["average", str(run), str(other), *flags, "--out", str(out)])
    message = capsys.readouterr().err
    assert words in message
    assert str(other) in message


def test_random_weights_of_two_seeds_have_no_mean(run, tmp_path):
    other = _changed(run, tmp_path / "other", seed=1)
    with pytest.raises(ValueError, match=r"random weights of the seeds 0, 1"):
        averaged_runs.choose([run, other], "selected", "val")
    runs = [
        _changed(run, tmp_path / f"s{seed}", seed=seed, model__init="timm:convnet")
        for seed in (0, 1)
    ]
    assert len(averaged_runs.choose(runs, "selected", "val")) == 2


def test_images_of_another_preparation_are_refused(run, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    (other / "run.json").write_text('{"starts": [{"images": "abc"}]}')
    flags = ["--checkpoints", "all", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit):
        average.main(["average", str(other), *flags])
    assert "trained on other images of shapes (digest abc" in capsys.readouterr().err


def test_a_domain_of_images_without_labels_is_known_again(run, tmp_path):
    other, folder = tmp_path / "other", tmp_path / "images"
    shutil.copytree(run, other)
    folder.mkdir()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(folder / "0.png")
    config = directory.read_config(other)
    config.data.unlabelled, config.losses.domain = str(folder), 1.0
    heads = workshop.Workshop(config).learner.model.heads
    assert heads["domain"].n_classes == 5  # the fifth is the folder


def test_checkpoints_that_were_not_kept_are_named(run, tmp_path):
    fewer = tmp_path / "fewer"
    (fewer / "checkpoints").mkdir(parents=True)
    for name in ("config.json", "run.json", rows.FILE_NAME):
        (fewer / name).write_text((run / name).read_text())
    with pytest.raises(ValueError, match=r"steps 10, 20, 24, 30: train it with"):
        averaged_runs.choose([fewer], "all", "val")
