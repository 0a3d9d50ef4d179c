"""One pass over images: each is read once, and each probe of it made once."""

import dataclasses
import time
from collections.abc import Callable, Collection, Sequence

import jax
import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.pixels import resampling
from jigsaw_shape.suites.suite import Probe

_HEADS, _FEATURES = ("classification", "ranks", "jigsaw"), "features"


@dataclasses.dataclass
class Pass:
    """What a pass found.

    Attributes:
      outputs: `{model: {probe: {head: float32 [n, ...]}}}`, in the order of the images.
      samples: `{probe: uint8 [k, H, W, 3]}`, the first images as a model saw them.
      n_answers: Images answered, each probe of each model counted.
      forward_s: Seconds in the models.
      total_s: Seconds in all.
    """

    outputs: dict[str, dict[str, dict[str, np.ndarray]]]
    samples: dict[str, np.ndarray]
    n_answers: int = 0
    forward_s: float = 0.0
    total_s: float = 0.0


def store_of(stimuli: Stimuli, group: Sequence[Classifier]) -> ImageStore:
    """Returns images as a group of models sees them: its size and its background."""
    stored_px = stimuli.side_px or group[0].size_px
    images = stimuli.dataset(stored_px, group[0].background)
    return ImageStore(images, cache="none", stored_px=stored_px)


def chunks_of(n_images: int, group: Sequence[Classifier]) -> list[np.ndarray]:
    """Returns the images' indices in batches that all models can take."""
    batch_size = min(model.batch_size for model in group)
    return np.split(np.arange(n_images), range(batch_size, n_images, batch_size))


resize = jax.jit(resampling.resize, static_argnums=1)
_fold_in = jax.jit(jax.vmap(jax.random.fold_in, (None, 0)))


def run(
    models: Sequence[Classifier],
    store: ImageStore,
    probes: Sequence[Probe],
    *,
    seed: int = 0,
    n_samples: int = 0,
    features_of: Collection[str] = (),
    on_batch: Callable[[int], None] = lambda n_done: None,
) -> Pass:
    """Returns every model's answers to every probe of every image.

    The last batch is filled up with its own images, whose answers are cut off. Probes
    with `orders` are shown to models with `permutations` alone.

    Args:
      models: At least one, of the same `size_px`, with different names.
      store: The images, not on the device.
      probes: Of several with one name only the first is made.
      seed: Decides, with an image's index, its probes' random numbers.
      n_samples: How many images' probes are kept for the page.
      features_of: Names of probes of which `features` are kept beside the heads, from
        models that have them.
      on_batch: Called after each batch with the number of images that are done.
    """
    first_of: dict[str, Probe] = {}
    for probe in probes:
        first_of.setdefault(probe.name, probe)
    batch_size = min(model.batch_size for model in models)
    parts = {model.name: {name: [] for name in first_of} for model in models}
    found = Pass({}, {})
    rng = jax.random.key(seed)
    chunks = chunks_of(len(store.dataset), models)
    started = time.perf_counter()
    for chunk, batch in zip(chunks, store.batches(chunks), strict=True):
        filled = np.resize(chunk, batch_size)  # repeats from the start
        stored = np.resize(batch["image"], (batch_size, *batch["image"].shape[1:]))
        rngs = _fold_in(rng, filled)
        images = resize(stored, models[0].size_px)
        for probe in first_of.values():
            shown = images if probe.make is None else probe.make(rngs, images)
            jax.block_until_ready(shown)  # not a part of `forward_s`
            _keep(found.samples, probe.name, shown[: len(chunk)], n_samples)
            orders = None if probe.orders is None else probe.orders(filled)
            heads = (*_HEADS, *((_FEATURES,) if probe.name in features_of else ()))
            for model in models:
                if orders is not None and model.permutations is None:
                    continue
                since = time.perf_counter()
                answers = model.predict(shown, orders)
                found.forward_s += time.perf_counter() - since
                parts[model.name][probe.name].append(
                    {h: answers[h][: len(chunk)] for h in heads if h in answers}
                )
                found.n_answers += len(chunk)
        on_batch(int(chunk[-1]) + 1)
    found.total_s = time.perf_counter() - started
    found.outputs = {
        model: {name: _joined(batches) for name, batches in probed.items() if batches}
        for model, probed in parts.items()
    }
    return found


def _keep(samples, name, shown, n_samples) -> None:
    kept = samples.get(name, ())
    if len(kept) < n_samples:
        pixels = np.asarray(shown[: n_samples - len(kept)])
        pixels = np.clip(np.rint(255 * pixels), 0, 255).astype(np.uint8)
        samples[name] = np.stack([*kept, *pixels])


def _joined(batches) -> dict[str, np.ndarray]:
    return {head: np.concatenate([b[head] for b in batches]) for head in batches[0]}
