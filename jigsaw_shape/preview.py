"""Draws what the network sees: images augmented, stylized, and as shuffled tiles.

    python -m jigsaw_shape.preview --config configs/pacs.py:jigen --out preview.png

`train` makes the same picture as `preview.png` in the run's directory.
"""

import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from jigsaw_shape import checks
from jigsaw_shape.data import sources
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.splits import Splits
from jigsaw_shape.diversify import named, with_styles
from jigsaw_shape.diversify.schedule import Styling, make_schedule
from jigsaw_shape.reports import figures
from jigsaw_shape.system import command_line
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import run_data
from jigsaw_shape.training.view import make_view

_N_COLUMNS = 8


def preview_figure(
    config: ConfigDict,
    dataset: Dataset,
    splits: Splits,
    permutations: np.ndarray,
    styling: Styling,
    progress: float = 0.0,
) -> Figure:
    """Returns a sheet of source images on their way to the network.

    Eight columns, the source domains in turn. The rows are the stored image; augmented;
    where images are diversified, its style, itself in that style and, if tiles get
    styles of their own, itself in those; and, where images are shuffled at all,
    shuffled, titled with the order. All of it is as in the run's first step, but that
    each image is diversified in the rows for that, and none stays whole in the last
    one. Below them, images of the held-out target, as stored: what the network is
    tested on and never trained on.

    Args:
      config: The run's.
      dataset: Its images.
      splits: Which of them are for what.
      permutations: int32 [K + 1, T].
      styling: See `run_data.load_styling`.
      progress: Share of the run that is over, for a schedule that moves.
    """
    domains = dataset.domain[splits.learned]
    pools = [splits.learned[domains == d] for d in np.unique(domains)]
    rng = np.random.default_rng(config.seed)
    indices = [rng.choice(pools[i % len(pools)]) for i in range(_N_COLUMNS)]
    stored = np.stack([dataset.read(i) for i in indices])
    target = []
    if len(splits.target):
        held_out = rng.choice(splits.target, _N_COLUMNS)
        tested = np.stack([dataset.read(i) for i in held_out])
        target = [("held out", tested / 255, held_out)]
    domain = jnp.asarray(dataset.domain[indices])

    def view(**changes):
        changed = config.copy_and_resolve_references()
        changed.update_from_flattened_dict({"jigsaw.view": "instead", **changes})
        return jax.jit(make_view(changed, permutations))(
            jax.random.fold_in(learner_lib.step_rng(config), 0),
            progress,
            jnp.arange(_N_COLUMNS),
            jnp.asarray(stored),
            domain,
            styling,
        )

    plain = {"diversify.name": "", "augment.tile_grayscale": 0.0}
    augmented = view(**plain, **{"jigsaw.bias_whole_image": 1.0}).images
    puzzles = []
    if config.jigsaw.bias_whole_image < 1:
        seen = view(**{"jigsaw.bias_whole_image": 0.0, "jigsaw.shuffled": (1.0,)})
        titles = [f"order {int(order)}" for order in seen.orders]
        if config.jigsaw.all_permutations:
            titles = [" ".join(map(str, row)) for row in np.asarray(seen.permutations)]
        puzzles = [("shuffled", seen.images, titles)]
    untitled = [""] * _N_COLUMNS

    def names(indices):
        known = (*dataset.classes, "?")  # the last is for the label -1
        classes = [known[label] for label in dataset.label[indices]]
        domains = [dataset.domains[d] for d in dataset.domain[indices]]
        return [f"{c}, {d}" for c, d in zip(classes, domains, strict=True)]

    styled = _styled(config, augmented, domain, styling, progress)
    return figures.sheet(
        [
            ("stored", stored / 255, names(indices)),
            ("augmented", augmented, untitled),
            *((name, images, untitled) for name, images in styled.items()),
            *puzzles,
            *((name, images, names(indices)) for name, images, indices in target),
        ]
    )


def _styled(config, images, domain, styling, progress) -> dict[str, jax.Array]:
    """Returns rows of images, all of them diversified; none if the run does not."""
    if not config.diversify.name:
        return {}
    settings = config.diversify.copy_and_resolve_references()
    settings.update(p_ordered=(1.0,), p_shuffled=(1.0,), until=2.0)
    shard_rng, image_rng = jax.random.split(jax.random.key(config.seed))
    rngs = jax.random.split(image_rng, len(images))

    def diversified(per_tile, changes=None):
        settings.per_tile = (per_tile,)
        schedule = jax.jit(make_schedule(settings, config.jigsaw.grid, changes))
        orders = jnp.ones(len(images), jnp.int32)
        return schedule(progress, shard_rng, rngs, images, orders, domain, styling)

    def show_style(uses_it):
        """Returns what shows the style that an image gets, white where it gets none."""
        return lambda rngs, contents, styles, strengths: (
            styles if uses_it else jnp.ones_like(contents)
        )

    rows = {}
    if used := with_styles(config.diversify.name):
        names = named(config.diversify.name)
        rows["style"] = diversified(0.0, [show_style(name in used) for name in names])
    rows["stylized"] = diversified(0.0)
    if any(config.diversify.per_tile):
        rows["by tile"] = diversified(1.0)
    return rows


def main(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    values = command_line.define_flags(argv)
    out = flags.DEFINE_string(
        "out", "preview.png", "The picture to write.", flag_values=values
    )
    progress = flags.DEFINE_float(
        "progress",
        0.0,
        "Share of the run that is over, 0 to 1.",
        lower_bound=0,
        upper_bound=1,
        flag_values=values,
    )
    config = command_line.parse_config("preview", argv, values, usage=__doc__)
    with command_line.refusals("preview"):
        sources.spell_domains(config.data)
        checks.check(config, n_devices=1)
        dataset, splits = run_data.load_data(config)
        dataset, splits = run_data.add_unlabelled(config, dataset, splits)
        learner = learner_lib.make_learner(
            config, len(dataset.classes), len(dataset.domains)
        )
        styling, _ = run_data.load_styling(config, dataset, splits)
        path = pathlib.Path(out.value)
        figure = preview_figure(
            config, dataset, splits, learner.permutations, styling, progress.value
        )
        figures.save(figure, path)
    print(path)
    return command_line.OK


if __name__ == "__main__":
    command_line.run(main, sys.argv)
