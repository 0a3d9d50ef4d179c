"""The embedded data set: eight silhouettes, eight textures, four styles, no files.

Drawn from a seed in the manner of PACS: objects of one class share an outline, and in
the domains that show texture (`photo`, `painting`, `cartoon`) they mostly wear their
class's own texture, as in real pictures; a `sketch` has none. A network may therefore
learn either cue. `load_cue_conflict` sets one against the other, and because both are
known for every image, shape bias = S / (S + T) is measured exactly.

Colour says nothing about the class: it is drawn anew for every image.

How far texture leads a plain network astray, and that it reads the shapes well where
texture says nothing, is measured in docs/results.md.
"""

import numpy as np

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.embedded import drawing
from jigsaw_shape.data.embedded.styles import STYLES

CLASSES = ("bird", "boat", "cat", "cup", "fish", "house", "key", "tree")
# The texture at an index is the own one of the class at that index.
TEXTURES = (
    "zigzag", "stripes", "blotches", "dots", "scales", "bricks", "checks", "grain",
)  # fmt: skip
DOMAINS = tuple(STYLES)  # photo, painting, cartoon, sketch
TEXTURED = ("photo", "painting", "cartoon")

_MIN_SIZE_PX = 16


def draw(
    domain: str,
    shape: int,
    texture: int | None,
    rng: np.random.Generator,
    size_px: int = 64,
) -> np.ndarray:
    """Returns one picture, uint8 [size_px, size_px, 3], RGB.

    Args:
      domain: The style, one of `DOMAINS`.
      shape: Index into `CLASSES`.
      texture: Index into `TEXTURES`; None or -1 fills the object plainly. A sketch
        shows no texture whatever is asked for.
      rng: Draws first the pose (rotation, flip, shear, stretch, bend, size, place),
        then the colours, the texture's own parameters and the background.
      size_px: Side of the picture, at least 16.

    Raises:
      ValueError: An argument is outside what is stated above.
    """
    if domain not in DOMAINS:
        raise ValueError(f"unknown domain {domain!r}: shapes has {', '.join(DOMAINS)}")
    if not 0 <= shape < len(CLASSES):
        raise ValueError(f"shape {shape} is not in 0..{len(CLASSES) - 1}")
    if texture is not None and not -1 <= texture < len(TEXTURES):
        raise ValueError(f"texture {texture} is not None or in -1..{len(TEXTURES) - 1}")
    _check_size(size_px)
    parts = drawing.pose(drawing.SILHOUETTES[CLASSES[shape]], rng, size_px)
    name = None if texture is None or texture < 0 else TEXTURES[texture]
    image = STYLES[domain](parts, name, rng, size_px)
    return (255 * np.clip(image, 0, 1) + 0.5).astype(np.uint8)


TEXTURE_CORRELATION = 0.95  # see `load`


def load(
    *,
    n_per_class: int = 112,
    texture_correlation: float = TEXTURE_CORRELATION,
    seed: int = 0,
    size_px: int = 64,
) -> Dataset:
    """Returns the data set `"shapes"`, drawn now and kept in memory.

    An image is decided by (seed, domain, its index in the domain): a larger
    `n_per_class` appends images to each domain and changes none.

    Args:
      n_per_class: Images of each class in each domain.
      texture_correlation: Probability, for each image on its own, that an object wears
        its class's own texture; otherwise another one, uniformly. `1 / len(CLASSES)`
        makes texture and class independent.
      seed: Decides every image.
      size_px: Side of the images, at least 16.

    Raises:
      ValueError: An argument is outside what is stated above.
    """
    if not 0 <= texture_correlation <= 1:
        raise ValueError(
            f"config.data.texture_correlation is {texture_correlation}: a probability "
            "in [0, 1] is needed"
        )
    _check(n_per_class, seed, size_px)
    n_classes = len(CLASSES)
    n = n_per_class * n_classes
    images = np.empty((len(DOMAINS) * n, size_px, size_px, 3), np.uint8)
    textures = np.full(len(images), -1, np.int32)
    for d, domain in enumerate(DOMAINS):
        for index in range(n):
            rng = _image_rng(seed, d, index)
            label = index % n_classes
            # Both are always drawn, so that the strength changes the texture alone.
            other = (label + rng.integers(1, n_classes)) % n_classes
            texture = label if rng.random() < texture_correlation else other
            if domain in TEXTURED:
                textures[d * n + index] = texture
            images[d * n + index] = draw(domain, label, texture, rng, size_px)
    return Dataset(
        name="shapes",
        classes=CLASSES,
        domains=DOMAINS,
        label=np.tile(np.arange(n, dtype=np.int32) % n_classes, len(DOMAINS)),
        domain=np.repeat(np.arange(len(DOMAINS), dtype=np.int32), n),
        read=images.__getitem__,
        texture=textures,
        version=_version(seed, texture_correlation),
        names=tuple(
            f"{domain}/{CLASSES[i % n_classes]}-{i // n_classes}"
            for domain in DOMAINS
            for i in range(n)
        ),
    )


def load_cue_conflict(
    *, n_per_class: int = 84, seed: int = 0, size_px: int = 64
) -> Dataset:
    """Returns the data set `"shapes-cue-conflict"`: photos whose cues disagree.

    `label` is the shape and `texture`, never equal to it, takes every other class in
    turn: all ordered pairs are equally frequent where `n_per_class` is a multiple of
    `len(CLASSES) - 1`, and differ by at most one image elsewhere. No image is shared
    with `load`, whatever the seeds; a larger `n_per_class` appends images.

    Args:
      n_per_class: Images of each shape.
      seed: Decides every image.
      size_px: Side of the images, at least 16.

    Raises:
      ValueError: An argument is outside what is stated above.
    """
    _check(n_per_class, seed, size_px)
    n_classes = len(CLASSES)
    index = np.arange(n_per_class * n_classes, dtype=np.int32)
    label = index % n_classes
    texture = (label + 1 + index // n_classes % (n_classes - 1)) % n_classes
    images = np.stack(
        [
            draw("photo", label[i], texture[i], _image_rng(seed, -1, i), size_px)
            for i in index
        ]
    )
    return Dataset(
        name="shapes-cue-conflict",
        classes=CLASSES,
        domains=("photo",),
        label=label,
        domain=np.zeros_like(label),
        read=images.__getitem__,
        texture=texture,
        version=_version(seed),
        names=tuple(
            f"{CLASSES[label[i]]}{i // n_classes}-{CLASSES[texture[i]]}" for i in index
        ),
    )


def _version(seed: int, texture_correlation: float = TEXTURE_CORRELATION) -> str:
    """Returns what tells other drawings of the same names apart from the usual ones."""
    parts = [f"seed {seed}"] * (seed != 0)
    usual = texture_correlation == TEXTURE_CORRELATION
    parts += [] if usual else [f"texture correlation {texture_correlation}"]
    return ", ".join(parts)


def _check(n_per_class: int, seed: int, size_px: int) -> None:
    if n_per_class < 1:
        raise ValueError(f"config.data.n_per_class is {n_per_class}: 1 or more allowed")
    if not 0 <= seed < 2**32:
        raise ValueError(f"config.data.draw_seed is {seed}: 0 to {2**32 - 1} allowed")
    _check_size(size_px)


def _check_size(size_px: int) -> None:
    if size_px < _MIN_SIZE_PX:
        raise ValueError(
            f"config.data.stored_px is {size_px}: shapes are drawn at "
            f"{_MIN_SIZE_PX} px or more"
        )


def _image_rng(seed: int, domain: int, index: int) -> np.random.Generator:
    """Returns the generator of one image; domain -1 is the cue-conflict set."""
    return np.random.default_rng([int(seed), domain + 1, int(index)])
