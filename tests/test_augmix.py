"""AugMix's operations against Pillow's, and what the mixture keeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageOps

from jigsaw_shape.diversify import augmix
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


def test_image_and_chains_are_mixed_as_in_algorithm_1(monkeypatch):
    def colour(rng, image):
        """A chain that paints the image in a colour of its own."""
        return jnp.broadcast_to(jax.random.uniform(rng, (3,)), image.shape)

    monkeypatch.setattr(augmix, "_chain", colour)
    n, pixel = 4000, np.array([0.2, 0.5, 0.9], np.float32)
    images = jnp.broadcast_to(pixel, (n, 1, 1, 3))
    rngs = jax.random.split(jax.random.key(0), n)
    found = jax.jit(augment_and_mix)(rngs, images, images, jnp.ones(n))[:, 0, 0]

    @jax.vmap
    def draw(rng):
        """Returns the chains' colours, the exponentials of Dirichlet, and m."""
        chain_rng, weight_rng, mix_rng = jax.random.split(rng, 3)
        each = jax.vmap(lambda i: jax.random.fold_in(chain_rng, i))(jnp.arange(3))
        colours = jax.vmap(lambda rng: jax.random.uniform(rng, (3,)))(each)
        return (
            colours,
            jax.random.exponential(weight_rng, (3,)),
            jax.random.uniform(mix_rng),
        )

    colours, weights, m = map(np.asarray, draw(rngs))
    weights = weights / weights.sum(1, keepdims=True)
    chains = np.einsum("ni,nic->nc", weights, colours)
    expected = m[:, None] * pixel + (1 - m[:, None]) * chains
    np.testing.assert_allclose(found, expected, atol=1e-5)
    theirs = np.random.default_rng(0)
    for ours, drawn in (
        (weights[:, 0], theirs.dirichlet((1, 1, 1), n)[:, 0]),
        (m, theirs.beta(1, 1, n)),
    ):
        tenths = np.arange(0.1, 1, 0.1)
        np.testing.assert_allclose(
            np.quantile(ours, tenths), np.quantile(drawn, tenths), atol=0.04
        )
