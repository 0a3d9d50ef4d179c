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

import dataclasses
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

_COMMAND = "make_cue_conflict"
_DEFINE = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
}


def main(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    values = command_line.define_flags(argv)
    out = flags.DEFINE_string(
        "out", "", "Folder to write: new, or of the same command.", flag_values=values
    )
    texture = flags.DEFINE_string(
        "texture-domain", "", "Where textures come from; '': photographs.", values
    )
    shapes = flags.DEFINE_list(
        "shape-domains",
        [],
        "Where shapes come from; '': the sources, so that a model that held out "
        "config.data.target can know them.",
        values,
    )
    asked = {}
    for field in dataclasses.fields(cue_conflict.Recipe):
        if field.metadata:
            define, name = _DEFINE[type(field.default)], field.name.replace("_", "-")
            meaning = field.metadata["help"]
            asked[field.name] = define(name, field.default, meaning, flag_values=values)
    config = command_line.parse_config(_COMMAND, argv, values, usage=__doc__)
    console = command_line.make_console(soft_wrap=True)
    n_written = 0
    with command_line.progress_bar("image", console=console, lines=True) as update:

        def on_image(n_done, n_total):
            nonlocal n_written
            n_written = n_done
            update(n_done, total=n_total)

        try:
            with command_line.refusals(_COMMAND):
                if not out.value:
                    raise ValueError("--out is missing: the folder to write")
                sources.spell_domains(config.data)
                dataset = sources.load_dataset(config.data)
                recipe = cue_conflict.Recipe(
                    *_domains(config, dataset, texture.value, shapes.value),
                    split=config.data.split,
                    split_seed=config.data.split_seed,
                    **{name: flag.value for name, flag in asked.items()},
                )
                folder = pathlib.Path(out.value)
                cue_files.make(dataset, recipe, folder, on_image=on_image)
        except KeyboardInterrupt:
            return command_line.interrupted(_COMMAND, f" after {n_written} images")
    mixes = cue_conflict.plan(dataset, recipe)
    console.print(cue_conflict.made_by(recipe, mixes))
    console.print(f"{command_line.counted(n_written, 'image')} written to {out.value}")
    return command_line.OK


def _domains(
    config: ConfigDict, dataset: Dataset, texture: str, shapes: list[str]
) -> tuple[str, tuple[str, ...]]:
    """Returns the domain of textures and those of shapes.

    Raises:
      ValueError: A domain is unknown, or no domain is known to be of photographs.
    """
    target = config.data.target
    if texture:
        texture = sources.domain_name(config.data, texture)
    else:
        texture = photographs_among(dataset.domains, dataset.name)
    if not texture:
        raise ValueError(
            f"--texture-domain is missing: none of {dataset.name}'s domains "
            f"{', '.join(dataset.domains)} is known to be photographs"
        )
    if shapes:
        chosen = [sources.domain_name(config.data, name) for name in shapes]
    else:
        every = config_lib.source_names(config) or dataset.domains
        chosen = [name for name in every if name != target]
    for name in (*chosen, texture, target):
        dataset.domain_index(name)
    return texture, tuple(chosen)


if __name__ == "__main__":
    command_line.run(main, sys.argv)
