"""Encoders: sizes, dtypes, and what BatchNorm does with statistics and devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_encoders import seeded, shapes, tiny

from jigsaw_shape import config as config_lib
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.multitask import Multitask
from jigsaw_shape.models.weights.loading import encoder_shapes
from jigsaw_shape.training import learner

# Published counts (torchvision, TensorFlow's tpu/efficientnet/lite), less the
# classifier's F * 1000 + 1000; and F.
PARAMETERS = {
    "convnet": (388_896, 256),
    "resnet18": (11_689_512 - 513_000, 512),
    "resnet34": (21_797_672 - 513_000, 512),
    "resnet50": (25_557_032 - 2_049_000, 2048),
    "resnet101": (44_549_160 - 2_049_000, 2048),
    # The same as without IBN: half a BatchNorm and half an InstanceNorm.
    "resnet18_ibn_a": (11_689_512 - 513_000, 512),
    "resnet50_ibn_a": (25_557_032 - 2_049_000, 2048),
    "efficientnet_lite0": (4_652_008 - 1_281_000, 1280),
    "efficientnet_lite1": (5_416_680 - 1_281_000, 1280),
    "efficientnet_lite2": (6_092_072 - 1_281_000, 1280),
    "alexnet": (61_100_840 - 4_097_000, 4096),
    "caffenet": (60_965_224 - 4_097_000, 4096),
    "vgg16": (138_357_544 - 4_097_000, 4096),
    "vgg19": (143_667_240 - 4_097_000, 4096),
    # 64 and 128 kernels of 5x5, and 2048 to 1024 to 1024; each with an offset.
    "digits": (4_864 + 204_928 + 2_098_176 + 1_049_600, 1024),
    "convnext_tiny": (28_589_128 - 769_000, 768),
    "vit_small_16": (22_050_664 - 385_000, 384),
}
SMALL = ("convnet", "resnet18", "efficientnet_lite0")


def _build(name, dtype=jnp.float32, norm_axis=None, freeze_norm=False):
    return ENCODERS[name].build(
        dtype=dtype, norm_axis=norm_axis, freeze_norm=freeze_norm
    )


_shapes = functools.cache(encoder_shapes)


@functools.cache
def _variables(name):
    """Drawn by NumPy: compiling a deep network's initialization takes seconds."""
    rng = np.random.default_rng(0)

    def draw(path, shape):
        kind = path[-1].key
        if kind != "kernel":
            return np.full(shape.shape, kind in ("scale", "var"), np.float32)
        he = np.sqrt(2 / np.prod(shape.shape[:-1]))
        return rng.normal(0, he, shape.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes(name))


def _images(n=4, size_px=32):
    return jax.random.normal(jax.random.key(1), (n, size_px, size_px, 3))


@pytest.mark.parametrize("name", ENCODERS)
def test_parameter_counts_and_feature_shape(name):
    module = _build(name, dtype=jnp.bfloat16)

    def init_and_apply(key):
        images = jnp.zeros((2, 64, 64, 3))
        variables = module.init(key, images, False)
        return variables, module.apply(variables, images, False)

    variables, features = jax.eval_shape(init_and_apply, jax.random.key(0))
    n_parameters = sum(p.size for p in jax.tree.leaves(variables["params"]))
    assert (n_parameters, features.shape[1]) == PARAMETERS[name]
    assert features.shape[0] == 2
    assert {a.dtype for a in jax.tree.leaves((variables, features))} == {
        jnp.dtype(jnp.float32)
    }


# Where a ResNet has MixStyle: at 1/4, 1/8 and 1/16 of the side, here of 64 px; where
# others that cannot have it there do.
STYLED = [16, 8, 4]
STYLED_ELSEWHERE = {
    "convnet": [32, 16, 8],
    "alexnet": [7, 3, 3],
    "caffenet": [7, 3, 3],
    "digits": [30, 13],
}


@pytest.mark.parametrize("name", [name for name in ENCODERS if "vit" not in name])
def test_stages_are_named_and_each_is_edited(name):
    images = jnp.zeros((1, 64, 64, 3))
    spec, sides, rows, flat = ENCODERS[name], {}, [], []

    def edit(stage, features):
        if features.ndim == 2:
            flat.append(stage)
        sides[stage] = features.shape[1]
        rows.append(len(features))
        return jnp.concatenate([features, features[:1]])

    def run(variables):
        apply = _build(name).apply
        return apply(variables, images, edit=edit, mutable=["intermediates"])

    features, sown = jax.eval_shape(run, _shapes(name))
    assert tuple(sides) == spec.stages
    assert tuple(flat) == spec.flat_stages
    # Every stage hands on the row that its edit added, and sows what it hands on.
    n = len(spec.stages)
    assert [*rows, len(features)] == list(range(1, n + 2))
    sown = {stage: len(x) for stage, (x,) in sown["intermediates"].items()}
    assert sown == dict(zip(spec.stages, range(2, n + 2), strict=True))
    assert [s for s in spec.stages if s in spec.style_stages] == [*spec.style_stages]
    styled = [sides[stage] for stage in spec.style_stages]
    assert styled == STYLED_ELSEWHERE.get(name, STYLED)


def test_styles_are_not_mixed_where_there_are_no_maps():
    config = config_lib.default_config()
    config.model.encoder, config.mixstyle.stages = "digits", "stage2,fc3"
    with pytest.raises(ValueError, match="stage2,fc3: digits has stage1, stage2;"):
        learner.make_learner(config, n_classes=3)
    config.mixstyle.stages = "stage2"
    assert learner.make_learner(config, n_classes=3).make_edit is not None


def test_a_transformer_leaves_its_patches_as_maps_and_sees_their_edits():
    spec, (variables, _) = ENCODERS["vit_small_16"], seeded("vit_small_16", "timm")
    assert spec.stages == ("stem", *(f"block{i}" for i in range(1, 13)))
    assert spec.style_stages == ("block3", "block6", "block9")
    images, seen = _images(2, 64), {}

    def run(edited):
        def edit(stage, features):
            seen[stage] = features.shape
            # Backwards: a factor the next normalization would take out again.
            return features[..., ::-1] if stage == edited else features

        module = tiny("vit_small_16")
        return module.apply(variables, images, edit=edit, mutable=["intermediates"])

    plain, before = run(None)
    changed, after = run("block1")
    assert seen == dict.fromkeys(("stem", "block1", "block2"), (2, 4, 4, 24))
    before, after = before["intermediates"], after["intermediates"]
    np.testing.assert_array_equal(before["stem"][0], after["stem"][0])
    np.testing.assert_array_equal(before["block1"][0][..., ::-1], after["block1"][0])
    assert np.abs(plain - changed).max() > 1e-3


def test_images_that_patches_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="such as 208 or 224"):
        jax.eval_shape(
            lambda v: tiny("vit_small_16").apply(v, jnp.zeros((1, 222, 222, 3))),
            shapes("vit_small_16"),
        )


@pytest.mark.parametrize("name", ["alexnet", "caffenet", "vgg16", "digits"])
def test_images_of_which_nothing_would_be_left_are_refused(name):
    with pytest.raises(ValueError, match=r"config\.data\.image_size is too small"):
        jax.eval_shape(
            lambda v: tiny(name).apply(v, jnp.zeros((1, 12, 12, 3))), shapes(name)
        )


@pytest.mark.parametrize("name", ["alexnet", "caffenet", "vgg16"])
def test_dropout_needs_a_key_in_training_and_follows_it(name):
    variables, images = _variables(name), _images(1, 64)

    @functools.partial(jax.jit, static_argnums=2)
    def run(variables, key, train):
        return tiny(name).apply(variables, images, train, rngs={"dropout": key})

    apply = functools.partial(run, variables)
    keys = jax.random.split(jax.random.key(0), 3)
    evaluated, first, again, other = (
        apply(keys[0], False),
        apply(keys[0], True),
        apply(keys[0], True),
        apply(keys[1], True),
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, evaluated)
    plain = tiny(name).apply(variables, images, False)
    np.testing.assert_allclose(evaluated, plain, rtol=1e-4)
    with pytest.raises(Exception, match="dropout"):
        tiny(name).apply(variables, images, True)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", SMALL)
def test_an_edit_that_changes_nothing_compiles_to_the_same_program(name, train):
    def program(*edit):
        def run(variables, images):
            mutable = ["batch_stats", "intermediates"]
            apply = _build(name).apply
            return apply(variables, images, train, *edit, mutable=mutable)

        return jax.jit(run).lower(_shapes(name), _images()).as_text()

    plain = program()
    assert program(None) == plain
    assert program(lambda stage, features: features) == plain
    assert program(lambda stage, features: 2 * features) != plain


@pytest.mark.parametrize("name", SMALL)
def test_an_edit_changes_its_stage_and_the_later_ones(name):
    stages = ENCODERS[name].stages
    edited = stages[2]

    @jax.jit
    def run(factor):
        def edit(stage, features):
            return features * factor if stage == edited else features

        features, sown = _build(name).apply(
            _variables(name), _images(2, 64), edit=edit, mutable=["intermediates"]
        )
        return features, {k: v[0] for k, v in sown["intermediates"].items()}

    (plain, before), (changed, after) = run(1.0), run(0.5)
    same = [stage for stage in stages if np.array_equal(before[stage], after[stage])]
    assert same == [*stages[:2]]
    np.testing.assert_array_equal(after[edited], before[edited] * 0.5)
    assert not np.array_equal(changed, plain)
    # What is sown is what goes on: the last stage's mean are the features.
    np.testing.assert_allclose(after[stages[-1]].mean((1, 2)), changed, rtol=1e-5)


def test_gradients_flow_through_an_edit_of_multitask():
    # Without offsets the network is linear in the scale of any stage's features.
    model = Multitask(_build("convnet"), heads={}, mean=(0,) * 3, std=(1,) * 3)
    variables = {kind: {"encoder": v} for kind, v in _variables("convnet").items()}

    @functools.partial(jax.jit, static_argnums=2)
    def gradients(params, factors, edited=True):
        def total(params, factors):
            def edit(stage, features):
                return features * factors[stage]

            outputs = model.apply(
                {**variables, "params": params},
                _images(),
                train=False,
                edit=edit if edited else None,
            )
            return outputs["features"].sum()

        return jax.value_and_grad(total, (0, 1))(params, factors)

    params, stages = variables["params"], ENCODERS["convnet"].stages
    ones = dict.fromkeys(stages, 1.0)
    plain, (d_plain, d_factors) = gradients(params, ones, False)
    assert not any(jax.tree.leaves(d_factors))
    halved, (d_params, d_factors) = gradients(params, {**ones, "stage2": 0.5})
    np.testing.assert_allclose(halved, plain / 2, rtol=1e-5)
    for stage in stages:
        scale = 0.5 if stage == "stage2" else 1.0
        np.testing.assert_allclose(d_factors[stage] * scale, halved, rtol=1e-4)
    for i in range(1, 5):  # before the edit and after it
        d, half = (g["encoder"][f"conv{i}"]["kernel"] for g in (d_params, d_plain))
        assert np.abs(d).max() > 0
        np.testing.assert_allclose(d, half / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_bfloat16_computes_nearly_the_same(name):
    variables, images = _variables(name), _images()

    def features(dtype):
        apply = _build(name, dtype).apply
        return jax.jit(lambda variables: apply(variables, images, False))(variables)

    exact, rounded = features(jnp.float32), features(jnp.bfloat16)
    assert rounded.dtype == jnp.float32
    assert not np.array_equal(exact, rounded)
    distance = np.linalg.norm(exact - rounded) / np.linalg.norm(exact)
    assert distance < 0.05


def test_training_updates_statistics_unless_frozen():
    variables, images = _variables("convnet"), _images()

    def train(freeze_norm):
        module = _build("convnet", freeze_norm=freeze_norm)
        return module.apply(variables, images, True, mutable=["batch_stats"])

    _, updated = train(freeze_norm=False)
    features, frozen = train(freeze_norm=True)
    jax.tree.map(
        np.testing.assert_array_equal, frozen, {"batch_stats": variables["batch_stats"]}
    )
    same = jax.tree.map(
        np.array_equal, updated["batch_stats"], variables["batch_stats"]
    )
    assert not any(jax.tree.leaves(same))
    evaluated = _build("convnet").apply(variables, images, False)
    np.testing.assert_array_equal(features, evaluated)


@pytest.fixture
def four_devices():
    if jax.device_count() < 4:
        pytest.skip("needs 4 devices: --xla_force_host_platform_device_count=4")
    return jax.devices()[:4]


def test_encoders_synchronize_over_norm_axis(four_devices):
    variables, images = _variables("convnet"), _images(8)

    def train(variables, images, norm_axis):
        module = _build("convnet", norm_axis=norm_axis)
        return module.apply(variables, images, True, mutable=["batch_stats"])

    features, updated = train(variables, images, None)
    sharded = jax.pmap(
        functools.partial(train, norm_axis="batch"),
        axis_name="batch",
        in_axes=(None, 0),
        devices=four_devices,
    )(variables, images.reshape(4, 2, 32, 32, 3))
    np.testing.assert_allclose(sharded[0].reshape(8, -1), features, atol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[3], b, atol=1e-5), sharded[1], updated
    )


def test_normalization_belongs_to_the_encoder():
    pixels = np.array([0, 127, 255])
    spec = ENCODERS["efficientnet_lite0"]
    np.testing.assert_allclose(
        (pixels / 255 - spec.mean[0]) / spec.std[0], (pixels - 127) / 128, atol=1e-12
    )
    assert ENCODERS["resnet18"].mean == (0.485, 0.456, 0.406)
