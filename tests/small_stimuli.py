"""Images made by a function, as the suites take them."""

import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from jigsaw_shape.data.stimuli import Stimuli


def make_stimuli(
    names: Sequence[str], category: np.ndarray, read: Callable, **fields
) -> Stimuli:
    """Returns labelled images of 8 px called `mine`; `fields` are any others."""
    fields = {"experiment": "images", "texture": None, "digest": "0", **fields}
    return Stimuli(
        name="mine",
        images=tuple(names),
        paths=tuple(map(pathlib.Path, names)),
        category=category,
        read=read,
        side_px=8,
        made_by="",
        **fields,
    )
