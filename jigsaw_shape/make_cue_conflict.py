r"""Builds a cue-conflict set of a data set's own classes from held-out images.

    python -m jigsaw_shape.make_cue_conflict --config configs/pacs.py --out=DIR

Each image has the shape of one class and the texture of another: at least --n-images of
them, as many for each pair of classes, in DIR/cue-conflict. Beside them are both cues
alone, in DIR/original, DIR/greyscale and DIR/texture. `python -m jigsaw_shape.evaluate
--data DIR ...` takes all four. jigsaw_shape/stylizing/cue_conflict.py says how they are
made, and of which images. The same command continues one that was stopped.

Exit codes: 0 done; 2 refused, with one line that says why; 75 interrupted: run it again
to continue.
"""

import pathlib
import sys

from absl import flags
from ml_collections import ConfigDict

from jigsaw_shape import config as config_lib
from jigsaw_shape.data import sources
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.known_sets import photographs_among
from jigsaw_shape.stylizing import cue_conflict, cue_files
from jigsaw_shape.system import command_line

_DEFAULTS = cue_conflict.Recipe("", ("",))
_FLAGS = {
    "out": ("", "folder to write: new, or of the same command"),
    "n-images": (_DEFAULTS.n_images, "mixed images at least; as many for each pair"),
    "texture-domain": ("", "where textures come from; '': photographs"),
    "shape-domains": (
        "",
        "where shapes come from, comma-separated; '': the sources, so that a model "
        "that held out config.data.target can know them",
    ),
    "crop": (_DEFAULTS.crop, "side of a photograph's middle that is its texture"),
    "relief": (_DEFAULTS.relief, "weight of a shape's luminance"),
    "alpha": (_DEFAULTS.alpha, "share of AdaIN's rendering, 0 to 1"),
    "stylizer": (
        _DEFAULTS.stylizer,
        "shipped; an .npz of `stylize fit`; or a folder with the public weights",
    ),
    "seed": (_DEFAULTS.seed, "which shape meets which texture"),
}
_DEFINE = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
}


def main(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    values = command_line.define_flags(argv)
    for name, (default, meaning) in _FLAGS.items():
        _DEFINE[type(default)](name, default, meaning, flag_values=values)
    config = command_line.parse_config("make_cue_conflict", argv, values, usage=__doc__)
    asked = {name: values[name].value for name in _FLAGS}
    console = command_line.make_console(soft_wrap=True)
    n_written = 0
    with command_line.progress_bar("image", console=console, lines=True) as update:

        def on_image(n_done, n_total):
            nonlocal n_written
            n_written = n_done
            update(n_done, total=n_total)

        try:
            with command_line.refusals("make_cue_conflict"):
                if not asked["out"]:
                    raise ValueError("--out is missing: the folder to write")
                sources.spell_domains(config.data)
                dataset = sources.load_dataset(config.data)
                recipe = _recipe(config, dataset, asked)
                out = pathlib.Path(asked["out"])
                cue_files.make(dataset, recipe, out, on_image=on_image)
        except KeyboardInterrupt:
            print(
                f"make_cue_conflict: interrupted after {n_written} images; run the "
                "same command again to continue",
                file=sys.stderr,
            )
            return command_line.INTERRUPTED
    mixes = cue_conflict.plan(dataset, recipe)
    console.print(cue_conflict.made_by(recipe, mixes))
    console.print(f"{n_written} images written to {out}")
    return command_line.OK


def _recipe(config: ConfigDict, dataset: Dataset, asked: dict) -> cue_conflict.Recipe:
    """Returns what configuration and flags ask for.

    Raises:
      ValueError: A domain is unknown, or no domain is known to be of photographs.
    """

    def spelled(name):
        return sources.domain_name(config.data, name)

    texture = spelled(asked["texture-domain"]) if asked["texture-domain"] else ""
    texture = texture or photographs_among(dataset.domains, dataset.name)
    if not texture:
        raise ValueError(
            f"--texture-domain is missing: none of {dataset.name}'s domains "
            f"{', '.join(dataset.domains)} is known to be photographs"
        )
    target = config.data.target
    dataset.domain_index(target)
    named = config_lib.listed(asked["shape-domains"]) or config_lib.source_names(config)
    shapes = tuple(map(spelled, named or dataset.domains))
    if not asked["shape-domains"]:
        shapes = tuple(name for name in shapes if name != target)
    for name in (*shapes, texture):
        dataset.domain_index(name)
    return cue_conflict.Recipe(
        texture_domain=texture,
        shape_domains=shapes,
        split=config.data.split,
        split_seed=config.data.split_seed,
        n_images=asked["n-images"],
        **{k: asked[k] for k in ("crop", "relief", "alpha", "stylizer", "seed")},
    )


if __name__ == "__main__":
    command_line.run(main, sys.argv)
