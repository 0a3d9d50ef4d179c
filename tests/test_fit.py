"""Fitting a stylizer: its losses, its laws, stopping and going on."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from small_pair import tiny_pair

from jigsaw_shape import stylize
from jigsaw_shape.diversify import adain, stylizer_files, vgg_weights
from jigsaw_shape.stylizing import fit, objective
from jigsaw_shape.system import command_line

SMALL = fit.Settings(width=0.5, depth=3, n_steps=130, batch_size=2, crop_px=32, lr=3e-3)


def _vgg(seed=0):
    """Four stages like VGG's, of a few channels."""
    rng = np.random.default_rng(seed)
    widths = ((3, 8), (8, 8), (8, 10), (10, 12))
    return tuple(
        (
            vgg_weights.layer(
                rng.normal(0, np.sqrt(2 / (9 * n)), (3, 3, n, m)), np.full(m, 1.0)
            ),
        )
        for n, m in widths
    )


def _images(n, seed):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (40 + i, 50, 3), np.uint8) for i in range(n)]


def _task(**changes):
    settings = dataclasses.replace(SMALL, **changes)
    return fit.Task(_images(3, 0), _images(3, 1), _vgg(), settings)


def _fit(out, task=None, on_log=lambda row: None, about=None):
    saved = []
    fit.fit(
        task or _task(),
        out,
        about or {"settings": dataclasses.asdict(SMALL)},
        on_log,
        lambda pair, step: saved.append(step),
    )
    return saved


def test_a_normalized_network_is_the_same_in_units_of_its_mean_activations():
    images = jnp.asarray(np.random.default_rng(0).random((4, 32, 32, 3)), jnp.float32)
    # Of positive kernels, so that no filter is rare: those are scaled less.
    plain = jax.tree.map(np.abs, _vgg())
    normalized = jax.jit(objective.normalize)(plain, images)
    for ours, theirs in zip(
        adain.encode(normalized, images), adain.encode(plain, images), strict=True
    ):
        np.testing.assert_allclose(ours.mean((0, 1, 2)), 1, rtol=1e-4)
        units = theirs.mean((0, 1, 2))
        np.testing.assert_allclose(ours * units, theirs, rtol=1e-3)


def test_the_losses_are_what_the_paper_states_at_alpha_1():
    pair, measure, rng = tiny_pair(), _vgg(), np.random.default_rng(0)
    contents, styles = rng.random((2, 3, 32, 32, 3)).astype(np.float32)
    content, style = jax.jit(objective.losses)(
        pair, measure, contents, styles, jnp.ones(3)
    )
    features = adain.exchange_statistics(
        adain.encode(pair.encoder, contents)[-1], adain.encode(pair.encoder, styles)[-1]
    )
    images = adain.decode(pair.decoder, features)
    found, of_contents, of_styles = (
        [np.asarray(x, np.float64) for x in adain.encode(measure, images_)]
        for images_ in (images, contents, styles)
    )

    def moments(x):
        return np.stack([x.mean((1, 2)), np.sqrt(x.var((1, 2)) + 1e-5)], 1)

    mean, deviation = (moments(of_contents[-1])[:, i, None, None] for i in (0, 1))
    wanted = moments(of_styles[-1])
    asked = (of_contents[-1] - mean) / deviation
    asked = asked * wanted[:, 1, None, None] + wanted[:, 0, None, None]
    axes = (1, 2, 3)
    expected = np.mean(((found[-1] - asked) ** 2).sum(axes) / (asked**2).sum(axes))
    assert float(content) == pytest.approx(expected, rel=1e-3)
    expected = sum(
        np.mean(
            ((moments(f) - moments(s)) ** 2).sum((1, 2)) / (moments(s) ** 2).sum((1, 2))
        )
        for f, s in zip(found, of_styles, strict=True)
    )
    assert float(style) == pytest.approx(expected, rel=1e-3)


def test_fitting_lowers_the_losses_and_tells_its_story(tmp_path):
    out, rows = tmp_path / "pair.npz", []
    saved = _fit(out, on_log=rows.append)
    assert rows[-1]["loss/style"] < 0.7 * rows[0]["loss/style"]
    assert [row["step"] for row in rows] == [*range(20, 130, 20), 130]
    assert saved[-1] == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "pair.jsonl",
        "pair.npz",
    ]
    stored = stylizer_files.load_pair(str(out))
    assert stored.about["settings"]["n_steps"] == 130
    assert stored.about["losses"]["loss/style"] == pytest.approx(rows[-1]["loss/style"])
    assert [len(stage) for stage in stored.pair.encoder] == [1, 1, 1]
    assert stored.pair.encoder[-1][0]["kernel"].shape == (3, 3, 4, 5)


def test_at_full_width_the_encoder_is_the_vgg_and_stays(tmp_path):
    task = _task(width=1.0, depth=4, n_steps=3)
    _fit(tmp_path / "pair.npz", task)
    first, _ = dataclasses.replace(
        task, settings=dataclasses.replace(task.settings, batch_size=64)
    ).crops(0)
    measure = objective.normalize(task.vgg, jnp.asarray(first, jnp.float32) / 255)
    stored = stylizer_files.load_pair(str(tmp_path / "pair.npz")).pair
    for ours, theirs in zip(stored.encoder, measure, strict=True):
        np.testing.assert_allclose(
            ours[0]["kernel"], theirs[0]["kernel"], rtol=2e-3, atol=1e-5
        )


def test_stopped_and_continued_is_as_if_never_stopped(tmp_path):
    task = _task(n_reconstruct=30)
    _fit(tmp_path / "whole.npz", task)

    def stop(row):
        if row["step"] >= 120:
            raise KeyboardInterrupt

    out = tmp_path / "stopped.npz"
    with pytest.raises(KeyboardInterrupt):
        _fit(out, task, on_log=stop)
    assert not out.exists()
    _fit(out, task)
    whole, continued = (
        stylizer_files.load_pair(str(tmp_path / name)).pair
        for name in ("whole.npz", "stopped.npz")
    )
    jax.tree.map(np.testing.assert_array_equal, whole, continued)
    steps = [
        [json.loads(line)["step"] for line in path.read_text().splitlines()]
        for path in (tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl")
    ]
    assert steps[0] == steps[1]


def test_a_state_of_other_settings_is_refused(tmp_path):
    def stop(row):
        if row["step"] >= 120:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _fit(tmp_path / "pair.npz", on_log=stop)
    with pytest.raises(ValueError, match="begun with other images or settings"):
        _fit(tmp_path / "pair.npz", about={"settings": "others"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 1.5}, "--width is 1.5"),
        ({"n_steps": 0}, "--n-steps is 0"),
        ({"crop_px": 8}, "--crop-px is 8"),
        ({"depth": 5}, "--depth is 5: 2, 3 or 4"),
        ({"n_reconstruct": 130}, "--n-reconstruct is 130: 0 or more, below --n-steps"),
        ({"style_weight": -1.0}, "--style-weight is -1.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(SMALL, **changes)


def test_the_command_refuses_in_one_line(tmp_path, capsys):
    folders = ["--content", str(tmp_path), "--style", str(tmp_path)]
    (tmp_path / "vgg.pth").write_bytes(b"none")
    for arguments, words in (
        (["--out", "pair.bin"], "a name that ends in .npz"),
        (["--out", str(tmp_path / "pair.npz")], "vgg.pth"),
    ):
        with pytest.raises(SystemExit) as stop:
            stylize.fit([*folders, "--vgg", str(tmp_path / "vgg.pth"), *arguments])
        assert stop.value.code == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_the_command_says_how_to_continue_when_interrupted(
    tmp_path, monkeypatch, capsys
):
    def stop(*arguments):
        raise KeyboardInterrupt

    for image in _images(2, 0):
        Image.fromarray(image).save(tmp_path / f"{len(image)}.png")
    (tmp_path / "vgg.pth").write_bytes(b"read by the line below")
    monkeypatch.setattr(vgg_weights, "read_vgg", lambda path, pixels: _vgg())
    monkeypatch.setattr(fit, "fit", stop)
    arguments = ["--content", tmp_path, "--style", tmp_path]
    arguments += ["--vgg", tmp_path / "vgg.pth", "--out", tmp_path / "pair.npz"]
    assert stylize.fit([str(a) for a in arguments]) == command_line.INTERRUPTED
    assert "run the same command again to continue" in capsys.readouterr().err
