"""Images without labels: what sees them, what does not, and what is refused."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import REPOSITORY
from flax import linen as nn
from PIL import Image
from small_runs import arguments, finish, saved_state, start
from test_checks import load_config

from jigsaw_shape import export, train
from jigsaw_shape.classifiers.open import open_classifier
from jigsaw_shape.data import sources, unlabelled
from jigsaw_shape.diversify import style_images
from jigsaw_shape.diversify.schedule import Styling
from jigsaw_shape.models import multitask
from jigsaw_shape.models.multitask import Head, Multitask
from jigsaw_shape.runs import directory, rows
from jigsaw_shape.system import devices
from jigsaw_shape.training import initial_weights, learner, run_data
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.losses import make_losses
from jigsaw_shape.training.timetable import Now
from jigsaw_shape.training.view import make_view

N_FOLDER = 24


def _config(**fields):
    config = load_config(REPOSITORY / "configs" / "shapes.py", "puzzle")
    config.data.update(n_per_class=6, stored_px=32, image_size=24, batch_size=8)
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in fields.items()}
    )
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of noise, two levels deep."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(N_FOLDER):
        below = root / f"part{i % 2}" / "more"
        below.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8))
        image.save(below / f"{i}.png")
    return root


def _load(config):
    dataset, splits = run_data.load_data(config)
    return dataset, *run_data.add_unlabelled(config, dataset, splits)


def test_folders_are_a_domain_without_labels_after_the_others(folder):
    before, dataset, splits = _load(_config(data__unlabelled=str(folder)))
    n = len(before)
    assert len(dataset) == n + N_FOLDER
    assert dataset.domains == (*before.domains, "unlabelled")
    np.testing.assert_array_equal(splits.unlabelled, np.arange(n, n + N_FOLDER))
    assert (dataset.label[n:] == -1).all()
    assert (dataset.domain[n:] == len(before.domains)).all()
    assert dataset.read(n).shape == (32, 32, 3)
    np.testing.assert_array_equal(dataset.read(n - 1), before.read(n - 1))
    assert dataset.digest() != before.digest()
    np.testing.assert_array_equal(
        splits.learned, np.concatenate([splits.train, splits.unlabelled])
    )


def test_a_folder_within_another_counts_once(folder):
    both = [str(folder), str(folder / "part0")]
    assert len(unlabelled.load(both, size_px=8, background="white")) == N_FOLDER


def test_adaptation_sees_the_target_without_its_labels():
    before, dataset, splits = _load(_config(data__setting="adaptation"))
    assert len(splits.unlabelled) == len(splits.target)
    assert (dataset.label[splits.unlabelled] == -1).all()
    assert (dataset.label[splits.target] >= 0).all()  # to be evaluated
    assert dataset.domains == before.domains
    for one, other in zip(splits.unlabelled[:3], splits.target, strict=False):
        np.testing.assert_array_equal(dataset.read(one), dataset.read(other))


def test_without_them_nothing_is_added():
    before, dataset, splits = _load(_config())
    assert dataset is before
    np.testing.assert_array_equal(splits.learned, splits.train)


def test_a_picture_of_the_target_among_them_is_refused(tmp_path):
    config = _config(data__unlabelled=str(tmp_path))
    dataset = sources.load_dataset(config.data)
    i = np.flatnonzero(dataset.domain == dataset.domain_index("sketch"))[3]
    Image.fromarray(dataset.read(i)).resize((90, 90)).save(tmp_path / "leak.png")
    with pytest.raises(ValueError, match=r"data\.unlabelled .*leak\.png is .*sketch"):
        _load(config)
    config.data.setting = "adaptation"
    _load(config)


def test_a_blank_image_is_no_thin_drawing_on_white(tmp_path):
    blank = np.full((96, 96, 3), 255, np.uint8)
    line = blank.copy()
    line[20:70, 47:50] = 0
    Image.fromarray(blank).save(tmp_path / "blank.png")
    pool = style_images.load(str(tmp_path), n_most=9, size_px=32, seed=0)
    (tmp_path / "other").mkdir()
    Image.fromarray(line).save(tmp_path / "other" / "line.png")
    drawing = style_images.load(str(tmp_path / "other"), n_most=9, size_px=32, seed=0)

    def target(image):
        return dataclasses.replace(
            unlabelled.load([str(tmp_path)], size_px=96, background="white"),
            read=lambda i: image,
        )

    style_images.refuse_target(pool, target(line), [0])
    style_images.refuse_target(drawing, target(blank), [0])
    with pytest.raises(ValueError, match=r"blank\.png is"):
        style_images.refuse_target(pool, target(blank), [0])


class TinyEncoder(nn.Module):
    """One convolution."""

    @nn.compact
    def __call__(self, images, train=False, edit=None):
        """Maps images [B, H, W, 3] to features [B, 4]."""
        return jnp.tanh(nn.Conv(4, (3, 3), (2, 2))(images)).mean((1, 2))


def _update(config, label):
    heads = {
        "classification": Head(8, detached=config.classification.detached),
        "jigsaw": Head(31),
    }
    model = Multitask(TinyEncoder(), heads, (0.5,) * 3, (0.2,) * 3)
    permutations = learner.make_learner(config, 8).permutations
    view = make_view(config, permutations)
    first = multitask.init_variables(model, jax.random.key(1), 24)
    optimizer = optax.sgd(0.1)
    state = step_lib.init_state(first, optimizer, jax.random.key(0), None)
    update = step_lib.make_update(model, optimizer, make_losses(config), view)
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    batch = {"image": images, "label": label, "domain": np.zeros(8, np.int32)}
    state, means = update(state, None, Styling(), devices.shard(batch), Now())
    return jax.device_get(state.params), means


def test_an_image_without_a_label_counts_in_the_puzzle_alone():
    label = np.arange(8, dtype=np.int32)
    hidden = np.where(label % 2 == 0, label, -1).astype(np.int32)
    _, means = _update(_config(), hidden)
    assert means["loss/classification"].count == 4
    assert means["accuracy/classification"].count == 4
    assert means["loss/jigsaw"].count == 8
    assert np.isfinite(means["loss/total"].total)
    _, known = _update(_config(), label)
    assert float(known["loss/jigsaw"].compute()) == pytest.approx(
        float(means["loss/jigsaw"].compute()), rel=1e-6
    )


def test_a_detached_head_learns_and_leaves_the_encoder_alone():
    label = np.arange(8, dtype=np.int32)
    params = [
        _update(_config(classification__detached=True), np.roll(label, n))[0]
        for n in (0, 1)
    ]
    jax.tree.map(
        np.testing.assert_array_equal, params[0]["encoder"], params[1]["encoder"]
    )
    heads = [tree["head_classification"]["kernel"] for tree in params]
    assert np.abs(heads[0] - heads[1]).max() > 1e-4
    attached = [
        _update(_config(), np.roll(label, n))[0]["encoder"]["Conv_0"]["kernel"]
        for n in (0, 1)
    ]
    assert np.abs(attached[0] - attached[1]).max() > 1e-5


def test_a_run_with_them_continues_exactly_and_says_so(folder, tmp_path):
    fields = {
        "epochs": 0,
        "steps": 4,
        "data__unlabelled": folder,
        "data__setting": "adaptation",
        "diversify__p_shuffled": "(0.0,)",
        "log__checkpoint_every_steps": 2,
    }
    whole, half = tmp_path / "whole", tmp_path / "half"
    printed = finish(start(*arguments(whole, "selfsup", **fields)))
    assert f"without labels: {N_FOLDER + 48} images" in printed
    results = [row for row in rows.read(whole) if row["kind"] == "result"]
    assert [row["selection"] for row in results] == list(rows.RULES)
    for row in results:
        assert row["setting"] == "adaptation"
        assert row["dataset"] == "shapes (adaptation)"
        assert {"puzzle/shuffled_accuracy", "puzzle/target_accuracy"} <= row.keys()
        assert "val/accuracy" not in row

    process = start(*arguments(half, "selfsup", **fields))
    saved = half / "checkpoints" / "2" / "state"
    while not saved.is_dir() and process.poll() is None:
        pass
    process.kill()
    process.communicate()
    finish(start(*arguments(half, "selfsup", **fields)))
    one, other = saved_state(whole), saved_state(half)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)

    facts = directory.knowledge(whole, directory.read_config(whole), "last")
    assert facts["setting"] == "adaptation"
    config = _config(model__init=f"{whole}@last")
    with pytest.raises(ValueError, match="trained on sketch without labels"):
        initial_weights.load(config)
    config.data.setting = "adaptation"
    assert initial_weights.load(config) is not None

    (folder / "one more.png").write_bytes((folder / "part0/more/0.png").read_bytes())
    with pytest.raises(SystemExit):
        train.main(["train", *arguments(whole, "selfsup", **fields)])
    starts = json.loads((whole / "run.json").read_text())["starts"]
    assert len(starts) == 1
    assert starts[0]["unlabelled"] != starts[0]["images"]


def test_hidden_labels_keep_names_of_images():
    dataset = sources.load_dataset(_config().data)
    hidden = unlabelled.with_hidden_labels(dataset, np.asarray([3, 5]))
    assert len(hidden.names) == len(hidden) == len(dataset) + 2


def test_a_folder_alone_trains_an_encoder_that_embeds_and_exports(folder, tmp_path):
    run, out = tmp_path / "run", tmp_path / "export"
    changed = {
        "data.unlabelled": folder,
        "data.stored_px": 32,
        "data.image_size": 24,
        "data.batch_size": 4,
        "epochs": 2,
        "model.encoder": "convnet",
        "model.init": "random",  # which nothing can be held to
        "losses.distillation": 0,
        "log.tensorboard": False,
    }
    config = REPOSITORY / "configs" / "unlabelled.py"
    flags = [f"--config.{name}={value}" for name, value in changed.items()]
    train.main(["train", f"--config={config}", f"--workdir={run}", *flags])
    results = [row for row in rows.read(run) if row["kind"] == "result"]
    assert [row["selection"] for row in results] == list(rows.RULES)
    assert (run / "preview.png").exists()
    assert (run / "puzzle.png").exists()
    opened = open_classifier(str(run))
    assert opened.classes == ()
    images = np.zeros((2, 32, 32, 3), np.uint8)
    assert opened.predict(images)["features"].shape[0] == 2
    export.main(["export", "--model", str(run), "--out", str(out)])
    card = (out / "README.md").read_text()
    assert "jigsaw accuracy on shuffled images" in card
    assert "without an image of the domain" not in card
    assert open_classifier(str(out)).has_features
