"""Draws what the network sees: stored images, augmented, and as shuffled tiles.

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

from jigsaw_shape import cli, figures, jigsaw
from jigsaw_shape import config as config_lib
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.splits import Splits
from jigsaw_shape.training import setup

_N_COLUMNS = 8


def preview_figure(
    config: ConfigDict, learner: setup.Learner, dataset: Dataset, splits: Splits
) -> Figure:
    """Returns a sheet of source images on their way to the network.

    Eight columns, the source domains in turn. The rows are the stored image, its
    training view with its tiles put back in order, and the same view shuffled, titled
    with the order. The view is the one the step uses, under the run's first key; only
    the orders are drawn anew, uniformly over the shuffled ones, so that a puzzle is
    seen whatever `config.jigsaw.bias_whole_image` is. Below them, images of the
    held-out target, as stored: what the network is tested on and never trained on.
    """
    domains = dataset.domain[splits.train]
    pools = [splits.train[domains == d] for d in np.unique(domains)]
    rng = np.random.default_rng(config.seed)
    indices = [rng.choice(pools[i % len(pools)]) for i in range(_N_COLUMNS)]
    stored = np.stack([dataset.read(i) for i in indices])
    held_out = rng.choice(splits.target, _N_COLUMNS)
    tested = np.stack([dataset.read(i) for i in held_out])

    step_rng = jax.random.fold_in(setup.step_rng(config), 0)
    slots = jnp.arange(_N_COLUMNS)
    viewed, orders = learner.view(
        step_rng, slots, jnp.asarray(stored), jnp.asarray(dataset.domain[indices])
    )
    tiles = jigsaw.cut_tiles(viewed, config.jigsaw.grid)
    tiles = jigsaw.unshuffle_tiles(tiles, orders, learner.permutations)
    ordered = jigsaw.join_tiles(tiles)
    keys = jax.random.split(jax.random.fold_in(step_rng, _N_COLUMNS), _N_COLUMNS)
    orders = jigsaw.sample_shuffles(keys, len(learner.permutations))
    tiles = jigsaw.shuffle_tiles(tiles, orders, learner.permutations)
    shuffled = jigsaw.join_tiles(tiles)

    def names(indices):
        classes = [dataset.classes[label] for label in dataset.label[indices]]
        domains = [dataset.domains[d] for d in dataset.domain[indices]]
        return [f"{c}, {d}" for c, d in zip(classes, domains, strict=True)]

    return figures.sheet(
        [
            ("stored", stored / 255, names(indices)),
            ("augmented", ordered, [""] * _N_COLUMNS),
            ("shuffled", shuffled, [f"order {int(order)}" for order in orders]),
            ("held out", tested / 255, names(held_out)),
        ]
    )


def main(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    values = cli.define_flags(argv)
    out = flags.DEFINE_string(
        "out", "preview.png", "The picture to write.", flag_values=values
    )
    config = cli.parse_config("preview", argv, values, usage=__doc__)
    with cli.refusals("preview"):
        config_lib.check(config, n_devices=1)
        dataset, splits = setup.load_data(config)
        learner = setup.make_learner(config, len(dataset.classes))
        path = pathlib.Path(out.value)
        figures.save(preview_figure(config, learner, dataset, splits), path)
    print(path)
    return cli.OK


if __name__ == "__main__":
    cli.run(main, sys.argv)
