"""Augmentation against Pillow and plain statements of each formula."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from small_photos import photos

from jigsaw_shape.pixels import augment, resampling


def _keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def test_crop_equals_pillow_for_the_same_box(monkeypatch):
    boxes = []
    real = resampling.resize_weights

    def record(start, length, n_in, n_out):
        boxes.append((np.asarray(start), np.asarray(length)))
        return real(start, length, n_in, n_out)

    monkeypatch.setattr(augment, "resize_weights", record)
    images = photos(8)
    ours = augment.random_resized_crop_flip(
        _keys(8), images, size_px=24, scale=(0.3, 1.0), ratio=(3 / 4, 4 / 3), flip=0.0
    )
    (top, height), (left, width) = boxes
    assert (top == np.floor(top)).all()
    assert (height == np.round(height)).all()
    for i, image in enumerate(images):
        box = (left[i], top[i], left[i] + width[i], top[i] + height[i])
        assert 0 <= box[0] < box[2] <= 50
        assert 0 <= box[1] < box[3] <= 50
        pillow = Image.fromarray(image).crop(tuple(map(int, box)))
        pillow = np.asarray(pillow.resize((24, 24), Image.BILINEAR))
        assert np.abs(np.asarray(ours[i]) * 255 - pillow).max() <= 1.01
    area = height * width / 2500
    assert area.min() < 0.7
    assert ((area > 0.25) & (area <= 1)).all()
    aspect = width / height
    assert ((aspect > 0.7) & (aspect < 1.43)).all()


def test_whole_crop_is_the_image_and_flip_mirrors_it():
    images = photos()
    whole = {"size_px": 50, "scale": (1.0, 1.0), "ratio": (1.0, 1.0)}
    kept = augment.random_resized_crop_flip(_keys(4), images, **whole, flip=0.0)
    np.testing.assert_allclose(kept * 255, images, atol=1e-3)
    flipped = augment.random_resized_crop_flip(_keys(4), images, **whole, flip=1.0)
    np.testing.assert_allclose(flipped * 255, images[:, :, ::-1], atol=1e-3)


def test_what_happens_to_an_image_depends_on_its_key_alone():
    images, keys = photos(6), _keys(6)
    settings = {"size_px": 30, "scale": (0.5, 1.0), "ratio": (0.75, 1.3), "flip": 0.5}
    together = augment.random_resized_crop_flip(keys, images, **settings)
    apart = augment.random_resized_crop_flip(keys[4:], images[4:], **settings)
    np.testing.assert_allclose(together[4:], apart, atol=1e-6)
    jitter = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.4}
    batch_rng = jax.random.key(9)
    together = augment.color_jitter(keys, batch_rng, together, **jitter)
    apart = augment.color_jitter(keys[4:], batch_rng, apart, **jitter)
    np.testing.assert_allclose(together[4:], apart, atol=1e-6)


def test_shift_hue_equals_colorsys():
    rng = np.random.default_rng(0)
    pixels = rng.random((200, 3), np.float32)
    pixels[:20] = pixels[:20, :1]  # greys, where the hue is undefined
    shifts = rng.uniform(-0.5, 0.5, 200).astype(np.float32)
    expected = []
    for pixel, shift in zip(pixels.tolist(), shifts.tolist(), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*pixel)
        expected.append(colorsys.hsv_to_rgb((h + shift) % 1, s, v))
    ours = jax.jit(augment.shift_hue)(pixels, shifts)
    np.testing.assert_allclose(ours, expected, atol=2e-5)
    np.testing.assert_allclose(
        augment.shift_hue(pixels, np.zeros(200, np.float32)), pixels, atol=1e-5
    )


def test_luminance_equals_pillow():
    image = photos(1)[0]
    grey = np.asarray(Image.fromarray(image).convert("L"))
    assert np.abs(augment.luminance(image / 255.0)[..., 0] * 255 - grey).max() <= 1


@pytest.mark.parametrize("only", ["brightness", "contrast", "saturation", "hue"])
def test_each_jitter_alone_follows_its_formula(only):
    images = jnp.asarray(photos(64) / 255.0, jnp.float32)
    widths = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0)
    widths[only] = 0.4
    out = np.asarray(
        augment.color_jitter(_keys(64), jax.random.key(1), images, **widths)
    )
    assert out.min() >= 0
    assert out.max() <= 1
    assert np.abs(out - images).max((1, 2, 3)).min() > 0  # every image changed
    grey = np.asarray(augment.luminance(images))
    anchor = {"brightness": 0.0, "contrast": grey.mean((1, 2), keepdims=True)}
    anchor["saturation"] = grey
    if only == "hue":
        np.testing.assert_allclose(out.max(-1), images.max(-1), atol=1e-5)
        np.testing.assert_allclose(out.min(-1), images.min(-1), atol=1e-5)
        return
    away = np.asarray(images) - anchor[only]
    inside = (out > 0.001) & (out < 0.999) & (np.abs(away) > 0.05)
    away = np.where(inside, away, 1)
    for i in range(64):
        factors = ((out[i] - np.broadcast_to(anchor[only], out.shape)[i]) / away[i])[
            inside[i]
        ]
        assert factors.std() < 1e-3  # one factor an image
        assert 0.6 - 1e-3 <= factors.mean() <= 1.4 + 1e-3


def test_zero_jitter_is_identity():
    images = jnp.asarray(photos() / 255.0, jnp.float32)
    widths = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0)
    out = augment.color_jitter(_keys(4), jax.random.key(0), images, **widths)
    np.testing.assert_array_equal(out, images)


def test_grayscale_turns_whole_tiles_grey_with_the_stated_probability():
    rng = np.random.default_rng(0)
    tiles = jnp.asarray(rng.random((500, 9, 4, 4, 3)), jnp.float32)
    out = np.asarray(augment.random_grayscale(_keys(500), tiles, 0.3))
    grey = (np.ptp(out, axis=-1) < 1e-6).all((2, 3))
    same = (out == np.asarray(tiles)).all((2, 3, 4))
    assert (grey ^ same).all()
    assert abs(grey.mean() - 0.3) < 0.04
    assert (augment.random_grayscale(_keys(500), tiles, 0.0) == tiles).all()
    assert (
        np.ptp(augment.random_grayscale(_keys(500), tiles, 1.0), axis=-1) < 1e-6
    ).all()
