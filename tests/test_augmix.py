"""AugMix's operations against Pillow's, and what the mixture keeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageOps

from jigsaw_shape.diversify.augmix import OPERATIONS, augment_and_mix

RNG = np.random.default_rng(0)
# Smooth, so that interpolation may round, and without the darkest and the brightest.
PIXELS = np.asarray(
    Image.fromarray(RNG.integers(30, 200, (6, 6, 3), np.uint8)).resize((40, 40))
)
PICTURE = Image.fromarray(PIXELS)
S = 40


def _transform(*numbers):
    """Pillow's affine map of pixels from the corner, as AugMix's authors call it."""
    return PICTURE.transform((S, S), Image.Transform.AFFINE, numbers, Image.BILINEAR)


# level 0.25 of 1 -> what the authors' code does with 2.5 of 10.
PILLOW = {
    "autocontrast": lambda: ImageOps.autocontrast(PICTURE),
    "equalize": lambda: ImageOps.equalize(PICTURE),
    "posterize": lambda: ImageOps.posterize(PICTURE, 4 - 1),
    "solarize": lambda: ImageOps.solarize(PICTURE, 256 - 64),
    "rotate": lambda: PICTURE.rotate(7.5, Image.BILINEAR),
    "translate_x": lambda: _transform(1, 0, 3, 0, 1, 0),
    "translate_y": lambda: _transform(1, 0, 0, 0, 1, 3),
    # Theirs shear from the corner, ours from the centre.
    "shear_x": lambda: _transform(1, 0.075, -0.075 * S / 2, 0, 1, 0),
    "shear_y": lambda: _transform(1, 0, 0, 0.075, 1, -0.075 * S / 2),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_pillow_s(name):
    ours = jax.jit(OPERATIONS[name])(jnp.asarray(PIXELS, jnp.float32) / 255, 0.25, 1.0)
    theirs = np.asarray(PILLOW[name](), np.float32) / 255
    inside = slice(6, -6)  # at the border the two round the outside otherwise
    np.testing.assert_allclose(
        np.asarray(ours)[inside, inside], theirs[inside, inside], atol=1.51 / 255
    )
    assert np.abs(theirs - PIXELS / 255).max() > 0.02


def test_a_flat_image_has_no_contrast_to_change():
    flat = jnp.full((8, 8, 3), 0.4)
    for name in ("autocontrast", "equalize"):
        np.testing.assert_allclose(OPERATIONS[name](flat, 0.2, 1.0), flat, atol=1e-2)


def test_the_strength_moves_between_image_and_mixture():
    images = jnp.asarray(np.stack([PIXELS] * 3), jnp.float32) / 255
    rngs = jnp.stack([jax.random.key(6)] * 3)
    strengths = jnp.array([0.0, 0.5, 1.0])
    found = jax.jit(augment_and_mix)(rngs, images, images, strengths)
    np.testing.assert_array_equal(found[0], images[0])
    np.testing.assert_allclose(found[1], (found[0] + found[2]) / 2, atol=1e-6)
    assert np.abs(found[2] - found[0]).max() > 0.05
