"""Methods, alone and together: a step can be traced and keeps its state's form."""

import jax
import numpy as np
import pytest
from conftest import REPOSITORY
from flax import linen as nn
from test_checks import load_config

from jigsaw_shape import checks
from jigsaw_shape.diversify.schedule import Styling
from jigsaw_shape.models import ENCODERS, EncoderSpec
from jigsaw_shape.models.batch_norm import BatchNorm
from jigsaw_shape.models.encoder import Encoder
from jigsaw_shape.models.layers import Conv
from jigsaw_shape.presets import PRESETS
from jigsaw_shape.system import devices
from jigsaw_shape.training import learner, loop
from jigsaw_shape.training.timetable import RunLength

N, N_CLASSES, N_DOMAINS = 16, 3, 4
# Methods that go together, each step of which is traced at once.
TOGETHER = (
    "coral mmd cdann vrex irm groupdro sd rsc efdmix erm_plus_plus sam",
    "sagnet dsu swad sagm",
    "fact padain swa wise_ft",
    "augmix safs fishr",
    "prime",
    "mixup",
    "cutmix",
)


class Tiny(Encoder):
    """One convolution with a BatchNorm."""

    @nn.compact
    def __call__(self, images, train=False, edit=None):
        """Maps images [B, H, W, 3] to features [B, 4]."""
        x = self.leave("stem", Conv(4, 3, 2)(images), edit)
        return BatchNorm(axis_name=self.norm_axis)(x, train).mean((1, 2))


def _start(presets, n_steps, monkeypatch):
    """Returns the configuration, `loop.start`'s state and step, and a batch."""
    monkeypatch.setitem(ENCODERS, "tiny", EncoderSpec(Tiny, ("stem",), ("stem",)))
    config = load_config(REPOSITORY / "configs" / "shapes.py")
    for name in presets.split():
        PRESETS[name](config)
    config.model.encoder = "tiny"
    config.data.image_size = 12
    config.model.init = "timm:tiny"  # is not read
    checks.check(config, jax.device_count())
    made = learner.make_learner(config, N_CLASSES, N_DOMAINS)
    variables = jax.eval_shape(
        lambda: made.model.init(
            jax.random.key(0), np.zeros((1, 12, 12, 3), np.float32), train=False
        )
    )
    variables = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), variables)
    length = RunLength(n_steps, 5, frozenset({5, n_steps}))
    state, update, timetable = loop.start(config, made, variables, length)
    batch = {
        "image": np.zeros((N, 14, 14, 3), np.uint8),
        "label": np.zeros(N, np.int32),
        "domain": np.zeros(N, np.int32),
    }
    given = (state, None, Styling(), devices.shard(batch), timetable.at(0))
    return config, update, given


@pytest.mark.parametrize("presets", TOGETHER)
def test_a_step_keeps_the_form_of_its_state(presets, monkeypatch):
    config, update, given = _start(presets, 10, monkeypatch)
    after, means = jax.eval_shape(update, *given)
    forms = [
        jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (given[0], after)
    ]
    assert forms[0] == forms[1]
    wanted = {f"loss/{name}" for name, weight in config.losses.items() if weight > 0}
    assert wanted <= set(means)


def test_runs_of_any_length_share_one_program(monkeypatch):
    texts = []
    for n_steps in (10, 35):
        _, update, given = _start(TOGETHER[0], n_steps, monkeypatch)
        texts.append(update.lower(*given).as_text())
    assert texts[0] == texts[1]
