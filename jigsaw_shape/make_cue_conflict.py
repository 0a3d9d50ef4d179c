r"""Builds a cue-conflict set of a data set's own classes from held-out images.

    python -m jigsaw_shape.evaluate make-cue-conflict --config configs/pacs.py \
        --out DIR

The shape of one class, the texture of another: at least --n_images of them, as many for
each pair, in DIR/cue-conflict; beside that both cues alone, in DIR/original,
DIR/greyscale and DIR/texture. `python -m jigsaw_shape.evaluate --data DIR ...` takes
all four. jigsaw_shape/stylizing/cue_conflict.py says how they are made, and of which
images. The same command goes on where it was stopped, and writes the same bytes.

Exit codes: 0 done; 2 refused, with one line that says why; 75 interrupted, run it again
to go on.
"""

import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from jigsaw_shape import config as config_lib
from jigsaw_shape.data import sources
from jigsaw_shape.data.known_sets import photographs_among
from jigsaw_shape.stylizing import cue_conflict, cue_files
from jigsaw_shape.system import command_line

_COMMAND = "make-cue-conflict"


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code.

    Args:
      argv: Its arguments, without the program's and its own name.
    """
    argv = [_COMMAND, *argv]
    values = command_line.define_flags(argv)
    _define(values)
    config = command_line.parse_config(_COMMAND, argv, values, usage=__doc__)
    console = command_line.make_console()
    n_done = 0

    def on_image(done, total):
        nonlocal n_done
        step = -(-total // 10) or 1
        if done // step > n_done // step:
            console.print(f"image {done}/{total}")
        n_done = done

    try:
        with command_line.refusals(_COMMAND):
            if not values.out:
                raise ValueError("--out is missing: the folder to write")
            sources.spell_domains(config.data)
            dataset = sources.load_dataset(config.data)
            recipe = _recipe(config, dataset, values)
            out = pathlib.Path(values.out)
            n_written = cue_files.make(dataset, recipe, out, on_image=on_image)
    except KeyboardInterrupt:
        print(
            f"{_COMMAND}: interrupted; {n_done} images are written: run the same "
            "command again to go on",
            file=sys.stderr,
        )
        return command_line.INTERRUPTED
    mixes = cue_conflict.plan(dataset, recipe)
    console.print(cue_conflict.made_by(recipe, mixes), soft_wrap=True)
    console.print(f"{n_written} images written to {out}", soft_wrap=True)
    return command_line.OK


def _define(values: flags.FlagValues) -> None:
    recipe = cue_conflict.Recipe("", ("",))
    for name, default, meaning in (
        ("out", "", "folder to write: new, or of the same command"),
        ("n_images", recipe.n_images, "mixed images at least; as many for each pair"),
        ("texture_domain", "", "where textures come from; '': photographs"),
        (
            "shape_domains",
            "",
            "where shapes come from, comma-separated; '': the sources, so that a model "
            "which held out config.data.target can know them",
        ),
        ("crop", recipe.crop, "side of a photograph's middle that is its texture"),
        ("relief", recipe.relief, "weight of a shape's luminance"),
        ("alpha", recipe.alpha, "share of AdaIN's rendering, 0 to 1"),
        (
            "stylizer",
            recipe.stylizer,
            "shipped; an .npz of `stylize fit`; or a folder with the public weights",
        ),
        ("seed", recipe.seed, "which shape meets which texture"),
    ):
        define = {
            str: flags.DEFINE_string,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
        }[type(default)]
        define(name, default, meaning, flag_values=values)


def _recipe(config, dataset, values) -> cue_conflict.Recipe:
    """Returns what configuration and flags ask for.

    Raises:
      ValueError: A domain is unknown, or no domain is known to be of photographs.
    """
    texture = values.texture_domain or photographs_among(dataset.domains, dataset.name)
    if not texture:
        raise ValueError(
            f"--texture_domain is missing: {dataset.name} has "
            f"{', '.join(dataset.domains)}, of which none is known to be photographs"
        )
    named = tuple(s.strip() for s in values.shape_domains.split(",") if s.strip())
    dataset.domain_index(config.data.target)
    if not named:
        chosen = config_lib.source_names(config) or dataset.domains
        named = tuple(name for name in chosen if name != config.data.target)
    for name in (*named, texture):
        dataset.domain_index(name)
    return cue_conflict.Recipe(
        texture_domain=texture,
        shape_domains=named,
        n_images=values.n_images,
        crop=values.crop,
        relief=values.relief,
        alpha=values.alpha,
        stylizer=values.stylizer,
        seed=values.seed,
        split=config.data.split,
        split_seed=config.data.split_seed,
    )
