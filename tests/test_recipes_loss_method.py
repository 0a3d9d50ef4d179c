"""The recipes for a loss and for a method: each is a function and one line."""

import jax.numpy as jnp
import pytest
from small_runs import arguments

from jigsaw_shape import train
from jigsaw_shape.models.multitask import Head
from jigsaw_shape.presets import PRESETS
from jigsaw_shape.runs import rows
from jigsaw_shape.training.losses import LOSSES, Loss


def entropy(config):
    """Returns the term of sure answers: the entropy of the class head's."""
    del config

    def term(outputs, batch):
        p = jnp.exp(outputs["classification"])
        p = p / p.sum(-1, keepdims=True)
        return -(p * jnp.log(p)).sum(-1), batch["for_class"]

    return term


def shuffled(config):
    """Returns the term of a head that tells shuffled images from whole ones."""
    del config

    def term(outputs, batch):
        truth = (batch["order"] > 0).astype(jnp.float32)
        score = outputs["shuffled"][:, 0]
        return jnp.logaddexp(0, score) - truth * score, batch["for_puzzle"]

    return term


def sure(config):
    """A method: sure answers, and telling shuffled images from whole ones."""
    config.losses.entropy = 0.1
    config.losses.shuffled = 0.5
    config.jigsaw.bias_whole_image = 0.5


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(LOSSES, "entropy", Loss(entropy))
    head = Loss(
        shuffled,
        head=lambda config, sizes: Head(1),
        hits=lambda config, outputs, batch: (
            (outputs["shuffled"][:, 0] > 0) == (batch["order"] > 0)
        ),
    )
    monkeypatch.setitem(LOSSES, "shuffled", head)
    monkeypatch.setitem(PRESETS, "sure", sure)


def test_a_loss_and_a_method_train(registered, tmp_path):
    workdir = tmp_path / "run"
    changes = {"epochs": 0, "steps": 2, "diversify__p_shuffled": "(0.0,)"}
    assert train.main(["train", *arguments(workdir, "sure", **changes)]) == 0
    trained = [row for row in rows.read(workdir) if row["kind"] == "train"]
    for row in trained:
        assert row["loss/entropy"] > 0
        assert row["loss/shuffled"] > 0
        assert 0 <= row["accuracy/shuffled"] <= 1
        total = row["loss/classification"] + 0.1 * row["loss/entropy"]
        total += 0.5 * row["loss/shuffled"]
        assert row["loss/total"] == pytest.approx(total, rel=1e-4)


def test_a_loss_without_its_line_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        train.main(["train", *arguments(tmp_path / "run", losses__entropy=0.1)])
    assert "entropy" in capsys.readouterr().err
