"""The out-of-distribution sets of model-vs-human, as they are downloaded.

Geirhos et al., "Partial success in closing the gap between human and machine vision",
NeurIPS 2021: sketches, stylized images and twelve distortions, in folders
`{set}/dnn/session-{n}/*.png`. An image's name says its condition and its category,
`{trial}_{code}_{observer}_{condition}_{category}_{number}_{image}.png`. Its other three
sets (edge, silhouette, cue-conflict) have a folder for each category, which
`stimuli.read_folder` reads.
"""

import pathlib

import numpy as np

from jigsaw_shape.data import stimuli as stimuli_lib
from jigsaw_shape.data.decisions import NOT_COUNTED, image_key
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.data.image_folders import find_images
from jigsaw_shape.data.stimuli import Stimuli

_CONDITION, _CATEGORY, _IMAGE = 3, 4, 6  # parts of a name between underscores


def is_set(folder: pathlib.Path) -> bool:
    """Returns whether a folder is one of these sets, by what it is called and holds."""
    return folder.name in NOT_COUNTED and any(folder.glob("dnn/session-*"))


def read_folder(folder: pathlib.Path) -> Stimuli:
    """Returns the images of a set, with the condition of each.

    Raises:
      ValueError: There is no such folder or image, a name does not parse, or one name
        is twice there.
      OSError: A file is no image, or cannot be read.
    """
    wanted = f"expected {folder}/dnn/session-1/0001_ske_dnn_0_boat_00_boat-0068.png"
    names = find_images(folder / "dnn", wanted).images
    paths = [folder / "dnn" / name for name in names]
    parts = [path.name.split("_") for path in paths]
    for path, split in zip(paths, parts, strict=True):
        if len(split) <= _IMAGE:
            raise ValueError(f"{path}: the name does not say the category: {wanted}")
    keys = tuple(image_key(path.name) for path in paths)
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{folder} holds two images called {twice}: delete one")
    sizes, digests = zip(*map(stimuli_lib.look_at, paths), strict=True)
    return Stimuli(
        name=folder.resolve().name,
        experiment=folder.resolve().name,
        images=keys,
        paths=tuple(paths),
        category=np.array([split[_CATEGORY] for split in parts]),
        texture=None,
        read=lambda i, px, *how: decode(paths[i], *how, size_px=px),
        side_px=stimuli_lib.common_side(sizes),
        made_by="",
        digest=stimuli_lib.digest_of(paths, digests),
        condition=np.array([split[_CONDITION] for split in parts]),
    )
