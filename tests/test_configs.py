"""Every configuration loads a data set of its layout and builds a batch of it."""

import jax
import numpy as np
import pytest
import small_imagenet
from PIL import Image
from test_checks import CONFIGS, load_config

from jigsaw_shape.config import source_names
from jigsaw_shape.data import known_sets, prepared_folders
from jigsaw_shape.data.image_store import ImageStore, epoch_order
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import run_data
from jigsaw_shape.training.timetable import run_length

N_PER_CLASS = 11  # above 10, so that a tenth holds out something


def _make_folder(path, spec, config):
    """Writes a data set of `spec`'s layout with a few tiny images a class."""
    rng = np.random.default_rng(0)
    own = {"photo", "clipart", config.data.target, *source_names(config)}
    domains = list(spec.domains) or sorted(own)
    classes = list(spec.classes)[:3] or ["cat", "dog"]
    for domain in domains:
        for name in classes:
            for i in range(N_PER_CLASS):
                split = "val" if i == 0 else "train"
                split = split if config.data.split == "official" else ""
                file = path / domain / split / name / f"{i}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.integers(0, 256, (20, 24, 3), np.uint8)
                Image.fromarray(pixels).save(file)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_loads_and_builds_its_batch(path, tmp_path):
    config = load_config(path, "jigen")
    if config.data.name == "shapes":
        config.data.n_per_class = config.data.n_cue_conflict_per_class = 3
    elif config.data.name == "imagenet":
        small_imagenet.prepare(tmp_path)
        config.data.data_dir = str(tmp_path)
    else:
        spec = known_sets.find_set(config.data.name)
        _make_folder(tmp_path / "source", spec, config)
        config.data.data_dir = str(tmp_path / "prepared")
        prepared_folders.prepare(
            config.data.name,
            source_dir=tmp_path / "source",
            data_dir=config.data.data_dir,
            strict=False,
        )
    config.data.batch_size = 4
    if config.model.encoder not in ENCODERS:
        config.model.encoder = "convnet"
    dataset, splits = run_data.load_data(config)
    assert config.data.target not in splits.sources
    everything_else = set(dataset.domains) - {config.data.target}
    assert set(splits.sources) == (set(source_names(config)) or everything_else)
    length = run_length(config, len(splits.train))
    assert max(length.evaluate_at) == length.n_steps

    learner = learner_lib.make_learner(
        config, len(dataset.classes), len(dataset.domains)
    )
    assert set(learner.model.heads) == {"classification", "jigsaw"}
    store = ImageStore(dataset, cache="none", stored_px=config.data.stored_px)
    order = epoch_order(
        dataset.domain, splits.train, seed=0, epoch=0, sampling=config.data.sampling
    )
    batch = store.batch(order[:4])
    view = jax.jit(learner.view)
    styling, _ = run_data.load_styling(config, dataset, splits)
    seen = view(
        jax.random.key(0),
        0.5,
        np.arange(4),
        batch["image"],
        batch["domain"],
        styling,
    )
    images, orders = seen.images, seen.orders
    size = config.data.image_size
    assert images.shape == (4, size, size, 3)
    assert 0 <= float(images.min()) <= float(images.max()) <= 1
    assert float(images.std()) > 0.01
    assert ((orders >= 0) & (orders <= 30)).all()


@pytest.mark.parametrize(
    ("name", "n_sources"),
    [
        ("domainbed", 3),
        ("terra_incognita", 3),
        ("domainnet", 5),
        ("nico_plus_plus", 5),
    ],
)
def test_domainbeds_batches_hold_32_images_of_each_source(name, n_sources):
    config = load_config(CONFIGS[0].with_name(f"{name}.py"))
    assert config.data.batch_size == 32 * n_sources
    domain = np.repeat(np.arange(6), (50, 700, 90, 400, 60, 200))
    order = epoch_order(
        domain,
        np.flatnonzero(domain < n_sources),
        seed=0,
        epoch=0,
        sampling=config.data.sampling,
    )
    drawn = np.bincount(domain[order[: config.data.batch_size]])
    assert drawn.tolist() == [32] * n_sources
    assert config.model.freeze_norm
    assert config.data.split == "domainbed"
    assert (config.steps, config.optim.lr) == (5_000, 5e-5)
