"""CONTRIBUTING's recipe for a diversifier: a function and a line, in all commands."""

import jax.numpy as jnp
import numpy as np
from PIL import Image
from small_runs import arguments

from jigsaw_shape import stylize, train
from jigsaw_shape.diversify import DIVERSIFIERS, Diversifier
from jigsaw_shape.runs import rows


def invert(rngs, contents, styles, strengths):
    """Returns the negatives of images: float32 [B, H, W, 3]."""
    del rngs, styles
    strengths = strengths[:, None, None, None]
    return contents + strengths * (1 - 2 * contents)


def test_a_diversifier_is_a_function_and_a_line(tmp_path, monkeypatch):
    seen = []

    def toy(rngs, contents, styles, strengths):
        seen.append(contents.shape)
        return invert(rngs, contents, styles, strengths)

    monkeypatch.setitem(DIVERSIFIERS, "toy", Diversifier(toy, uses_styles=False))
    run = arguments(
        tmp_path / "run",
        preset="erm",
        diversify__name="toy",
        diversify__p_ordered="(0.5,)",
        epochs=1,
    )
    assert train.main(["train", *run]) == 0
    assert (24, 24, 3) in {shape[1:] for shape in seen}
    assert {row["kind"] for row in rows.read(tmp_path / "run")} >= {"train", "result"}

    pixels = np.random.default_rng(0).integers(256, size=(12, 15, 3), dtype=np.uint8)
    for folder in ("photos", "styles"):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "a.png")
    folders = [str(tmp_path / name) for name in ("photos", "styles", "out")]
    how = ["--method", "toy", "--format", "png"]
    assert stylize.main(["stylize", *folders, *how]) == 0
    written = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    np.testing.assert_array_equal(written, 255 - pixels)


def test_the_toy_keeps_the_contract():
    images = jnp.asarray(np.random.default_rng(0).random((2, 4, 4, 3)), jnp.float32)
    out = invert(None, images, images, jnp.array([0.0, 1.0]))
    np.testing.assert_array_equal(out[0], images[0])
    np.testing.assert_allclose(out[1], 1 - images[1], atol=1e-6)
