"""Resized images are Pillow's, and the same on every platform."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from small_photos import photos

from jigsaw_shape.pixels import resampling


@pytest.mark.parametrize("size", [20, 50, 70])
def test_resize_equals_pillow(size):
    images = photos(h=50, w=40)
    ours = np.asarray(resampling.resize(images, size)) * 255
    for image, resized in zip(images, ours, strict=True):
        pillow = Image.fromarray(image).resize((size, size), Image.BILINEAR)
        # Pillow rounds after each of its two passes.
        assert np.abs(resized - np.asarray(pillow)).max() <= 1.01


@pytest.mark.parametrize("size", [20, 40])
def test_resize_takes_floats_as_they_are(size):
    images = photos(h=40, w=40)
    floats = images / np.float32(255)
    ours = resampling.resize(floats, size)
    assert np.abs(ours - resampling.resize(images, size)).max() < 1e-6
    assert ours.dtype == jnp.float32


# Smaller, larger, as large, and of hardly any pixels.
@pytest.mark.parametrize("size", [7, 16, 23, 24, 61])
@pytest.mark.parametrize("kind", ["uint8", "float"])
def test_cpus_add_what_other_platforms_multiply(size, kind):
    images = photos(5, h=24, w=31)
    images = images if kind == "uint8" else images / np.float32(255)
    start = jnp.array([0.0, 3.0, 0.0, 11.5, 20.0])
    length = jnp.array([24.0, 20.0, 1.0, 6.25, 4.0])
    rows = resampling.resize_weights(start, length, 24, size)
    columns = resampling.resize_weights(start + 2, length, 31, size)
    mirrored = jnp.array([False, True, False, True, True])[:, None, None]
    columns = jnp.where(mirrored, columns[:, ::-1], columns)
    expected = jnp.einsum(
        "boh,bpw,bhwc->bopc", rows, columns, images / (255 if kind == "uint8" else 1)
    )
    ours = resampling.resample(images, rows, columns)
    assert ours.dtype == jnp.float32
    np.testing.assert_allclose(ours, expected, atol=1e-6)


@pytest.mark.parametrize(("platform", "n_products"), [("cpu", 0), ("cuda", 2)])
def test_only_cpus_add(platform, n_products):
    resize = jax.jit(functools.partial(resampling.resize, size_px=20))
    traced = resize.trace(jnp.zeros((2, 50, 50, 3), jnp.uint8))
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert text.count("stablehlo.dot_general") == n_products
