"""The learner that can solve puzzles: its head, its answers, its views, its step."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from scipy import ndimage
from small_store import store_of
from tiny_encoders import TINY, tiny

from jigsaw_shape import config as config_lib
from jigsaw_shape.diversify.edges import draw_edges
from jigsaw_shape.diversify.schedule import Styling
from jigsaw_shape.models import assignment, multitask
from jigsaw_shape.models.encoder import Encoder
from jigsaw_shape.models.layers import Conv
from jigsaw_shape.models.multitask import Multitask, jigsaw_head
from jigsaw_shape.pixels import puzzle, shortcuts
from jigsaw_shape.presets import apply_preset
from jigsaw_shape.system import devices
from jigsaw_shape.training import learner
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.losses import Sizes, make_heads, make_losses
from jigsaw_shape.training.solved_puzzles import solved_puzzles
from jigsaw_shape.training.timetable import Now
from jigsaw_shape.training.view import make_view

RNG = np.random.default_rng(0)
PERMUTATIONS = puzzle.permutation_set(3, 30, 0)
B, STORED, SIZE = 8, 20, 18


def _config(**fields):
    config = apply_preset(config_lib.default_config(), "puzzle")
    config.data.image_size = SIZE
    config.augment.tile_grayscale = 0.0
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in fields.items()}
    )
    return config


def _see(config, n=B, **view):
    images = np.random.default_rng(0).integers(0, 256, (n, STORED, STORED, 3), np.uint8)
    return jax.jit(make_view(config, PERMUTATIONS, **view))(
        jax.random.key(3), 0.0, jnp.arange(n), images, jnp.arange(n) % 3, Styling()
    )


def test_rows_and_columns_of_positions_sum_to_one():
    scores = RNG.normal(size=(4, 9, 9)).astype(np.float32) * 2
    p = np.exp(assignment.sinkhorn(jnp.asarray(scores)))
    np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(p.sum(-2), 1, atol=1e-2)
    # What is added to a row or a column changes nothing.
    moved = scores + RNG.normal(size=(4, 9, 1)) + RNG.normal(size=(4, 1, 9))
    np.testing.assert_allclose(np.exp(assignment.sinkhorn(moved)), p, atol=1e-2)


def test_positions_and_orders_agree_on_the_same_permutation():
    scores = 6 * np.eye(9)[PERMUTATIONS] + RNG.normal(size=(31, 9, 9))
    positions = assignment.sinkhorn(jnp.asarray(scores, jnp.float32))
    orders = assignment.order_scores(positions, PERMUTATIONS).argmax(-1)
    np.testing.assert_array_equal(orders, np.arange(31))
    placed = assignment.place_tiles(np.asarray(positions))
    np.testing.assert_array_equal(placed, PERMUTATIONS)


def test_the_assignment_is_the_best_of_all_permutations():
    positions = RNG.normal(size=(5, 4, 4)).astype(np.float32)
    every = np.asarray(list(itertools.permutations(range(4))))
    best = every[assignment.order_scores(jnp.asarray(positions), every).argmax(-1)]
    np.testing.assert_array_equal(assignment.place_tiles(positions), best)


class PatchEncoder(Encoder):
    """A convolution that sees one tile of 6 x 6 pixels at a time."""

    @nn.compact
    def __call__(self, images, train=False, edit=None):
        """Maps images [B, 18, 18, 3] to features [B, 4]."""
        x = self.leave("patches", Conv(4, 6, 6, padding=0)(images), edit)
        return x.mean((1, 2))


def _patches(head):
    return Multitask(PatchEncoder(), {"jigsaw": head}, (0,) * 3, (1,) * 3)


def test_a_spatial_head_tells_orders_apart_and_a_pooled_one_cannot():
    """Tiles that only trade places have the same pooled features."""
    images = jnp.asarray(RNG.uniform(size=(1, 18, 18, 3)), jnp.float32)
    tiles = jnp.repeat(puzzle.cut_tiles(images, 3), 31, 0)
    shuffled = puzzle.shuffle_tiles(tiles, jnp.arange(31), PERMUTATIONS)
    shuffled = puzzle.join_tiles(shuffled)
    for head, apart in (("pooled", False), ("spatial", True)):
        model = _patches(jigsaw_head(_config(jigsaw__head=head).jigsaw, PERMUTATIONS))
        variables = model.init(jax.random.key(0), images, False)
        scores = np.asarray(model.apply(variables, shuffled, False)["jigsaw"])
        spread = np.abs(scores[1:] - scores[0]).max(-1)
        assert (spread > 1e-3).all() if apart else (spread < 1e-5).all()


def test_cells_of_shuffled_tiles_are_shuffled_cells():
    images = jnp.asarray(RNG.uniform(size=(31, 18, 18, 3)), jnp.float32)
    orders = jnp.arange(31)
    shuffled = puzzle.join_tiles(
        puzzle.shuffle_tiles(puzzle.cut_tiles(images, 3), orders, PERMUTATIONS)
    )
    encoder = PatchEncoder()
    variables = encoder.init(jax.random.key(0), images)

    def cells(images):
        _, state = encoder.apply(variables, images, mutable="intermediates")
        return state["intermediates"]["patches"][0].reshape(31, 9, 4)

    expected = puzzle.permute_tiles(cells(images), jnp.asarray(PERMUTATIONS))
    np.testing.assert_allclose(cells(shuffled), expected, atol=1e-5)


@pytest.mark.parametrize("encoder", [*TINY, "convnet", "efficientnet_lite0"])
@pytest.mark.parametrize("answer", ["order", "positions"])
def test_every_encoder_takes_a_spatial_head(encoder, answer):
    head = jigsaw_head(_config(jigsaw__answer=answer).jigsaw, PERMUTATIONS)
    model = Multitask(tiny(encoder), {"jigsaw": head}, (0,) * 3, (1,) * 3)
    images = jnp.zeros((2, 64, 64, 3))
    outputs = jax.eval_shape(
        lambda: model.init_with_output(jax.random.key(0), images, False)[0]
    )
    assert outputs["jigsaw"].shape == (2, 31)
    assert ("jigsaw_positions" in outputs) == (answer == "positions")


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_puzzles_come_beside_the_images_that_they_are_made_of(share):
    seen = _see(_config(jigsaw__bias_whole_image=1 - share))
    n = round(share * B)
    assert seen.images.shape == (B + n, SIZE, SIZE, 3)
    assert (seen.orders[:B] == 0).all()
    assert (seen.orders[B:] > 0).any()
    np.testing.assert_array_equal(seen.for_class, [1] * B + [0] * n)
    np.testing.assert_array_equal(seen.for_puzzle, [0] * B + [1] * n)
    stored = np.asarray(seen.stored)
    np.testing.assert_array_equal(stored[B:], np.arange(n) / share)
    tiles = puzzle.cut_tiles(seen.images[stored[B:]], 3)
    shuffled = puzzle.shuffle_tiles(tiles, seen.orders[B:], PERMUTATIONS)
    np.testing.assert_array_equal(seen.images[B:], puzzle.join_tiles(shuffled))


def test_puzzles_beside_both_styles_wear_styles_of_their_own():
    fields = {"diversify__name": "edges", "diversify__p_shuffled": (1.0,)}
    seen = _see(_config(**fields), both_styles=True)
    assert seen.images.shape[0] == 3 * B
    assert not seen.styled[: 2 * B].any()
    assert seen.styled[2 * B :].sum() >= B - 2  # an order of 0 leaves a puzzle whole
    np.testing.assert_array_equal(seen.stored, np.tile(np.arange(B), 3))


def test_every_permutation_can_be_drawn():
    fields = {"jigsaw__answer": "positions", "jigsaw__all_permutations": True}
    seen = _see(_config(**fields), n=64)
    drawn = np.asarray(seen.permutations)
    assert (np.sort(drawn, -1) == np.arange(9)).all()
    known = {tuple(row) for row in PERMUTATIONS}
    assert sum(tuple(row) not in known for row in drawn[64:]) > 50
    tiles = puzzle.permute_tiles(puzzle.cut_tiles(seen.images[:64], 3), drawn[64:])
    np.testing.assert_array_equal(seen.images[64:], puzzle.join_tiles(tiles))


@pytest.mark.parametrize("view", ["instead", "beside"])
def test_shortcuts_are_closed_in_puzzles_alone(view):
    fields = {"jigsaw__view": view, "jigsaw__bias_whole_image": 0.5}
    plain = _see(_config(**fields))
    closed = _see(_config(**fields, jigsaw__gap=(0.3,), jigsaw__normalize_tiles=True))
    differs = np.abs(np.asarray(plain.images - closed.images)).max((1, 2, 3)) > 1e-3
    np.testing.assert_array_equal(differs, plain.orders > 0)


def test_a_gap_crops_each_tile():
    tiles = jnp.asarray(RNG.uniform(size=(2, 9, 8, 8, 3)), jnp.float32)
    rngs = jax.random.split(jax.random.key(0), 2)
    np.testing.assert_allclose(shortcuts.crop_tiles(tiles, 0.0, rngs), tiles, atol=1e-6)
    ramp = jnp.broadcast_to(jnp.arange(8.0)[:, None], (2, 9, 8, 8))[..., None]
    centre = np.asarray(shortcuts.crop_tiles(ramp, 0.5))[0, 0, :, 0, 0]
    assert centre.min() >= 2
    assert centre.max() <= 5  # rows 2 to 5 of 8
    starts = np.asarray(shortcuts.crop_tiles(ramp, 0.5, rngs))[:, :, 0, 0, 0]
    assert len(np.unique(starts)) > 10


def test_normalized_tiles_have_one_mean_and_deviation():
    tiles = RNG.uniform(0.3, 0.5, size=(2, 9, 8, 8, 3)).astype(np.float32)
    normal = np.asarray(shortcuts.normalize_tiles(jnp.asarray(tiles)))
    np.testing.assert_allclose(normal.mean((2, 3)), 0.5, atol=1e-2)
    np.testing.assert_allclose(normal.std((2, 3)), 0.2, atol=1e-2)
    flat = np.full((1, 1, 4, 4, 3), 0.7, np.float32)
    np.testing.assert_allclose(shortcuts.normalize_tiles(flat), 0.5, atol=1e-5)


def test_edges_are_dark_where_lightness_changes():
    contents = np.zeros((3, 6, 6, 3), np.float32)
    contents[:, :, 3:] = 1
    strengths = jnp.asarray([1.0, 0.5, 0.0])
    drawn = np.asarray(draw_edges(None, contents, contents, strengths))
    np.testing.assert_allclose(drawn[0, :, [2, 3]], 0, atol=1e-6)
    np.testing.assert_allclose(drawn[0, :, [0, 1, 4, 5]], 1, atol=1e-6)
    np.testing.assert_allclose(drawn[1], (drawn[0] + contents[0]) / 2, atol=1e-6)
    np.testing.assert_array_equal(drawn[2], contents[2])
    turned = draw_edges(None, contents.swapaxes(1, 2), contents, strengths)
    np.testing.assert_allclose(np.swapaxes(turned, 1, 2)[0], drawn[0], atol=1e-6)


def test_edges_are_sobel_s_gradient_of_luminance():
    contents = RNG.uniform(size=(2, 7, 5, 3)).astype(np.float32)
    drawn = draw_edges(None, contents, contents, jnp.ones(2))
    for ours, grey in zip(drawn, contents @ [0.299, 0.587, 0.114], strict=True):
        slopes = [ndimage.sobel(grey, axis, mode="nearest") / 4 for axis in (0, 1)]
        expected = 1 - np.minimum(2 * np.hypot(*slopes), 1)
        assert 0 < expected.mean() < 1
        np.testing.assert_allclose(
            ours, np.repeat(expected[..., None], 3, -1), atol=1e-5
        )


class TinyEncoder(Encoder):
    """Two convolutions, smooth: at a kink rounding decides."""

    @nn.compact
    def __call__(self, images, train=False, edit=None):
        """Maps images [B, H, W, 3] to features [B, 8]."""
        x = self.leave("map", jnp.tanh(Conv(8, 3, 2)(images)), edit)
        return x.mean((1, 2))


def _asked(config, n=B):
    """Returns what is seen of n images whose puzzles are of tiles encoded apart."""
    config.jigsaw.encode = "tiles"
    return _see(config, n)


def test_tiles_that_are_encoded_apart_are_asked_about_in_several_orders():
    config = _config(jigsaw__orders_per_image=5)
    seen = _asked(config)
    assert seen.images.shape[0] == B  # whole, and no puzzle among them
    assert (seen.orders == 0).all()
    assert seen.tiles.shape == (B, 9, SIZE // 3, SIZE // 3, 3)
    np.testing.assert_array_equal(puzzle.join_tiles(seen.tiles), seen.images)
    assert seen.tile_permutations.shape == (B, 5, 9)
    orders = np.asarray(seen.asked["puzzle_order"])
    np.testing.assert_array_equal(
        np.asarray(seen.tile_permutations).reshape(-1, 9), PERMUTATIONS[orders]
    )
    assert len(np.unique(orders[:5])) > 1


@pytest.mark.parametrize("answer", ["order", "positions"])
def test_permuted_features_of_tiles_are_features_of_permuted_tiles(answer):
    config = _config(jigsaw__encode="tiles", jigsaw__answer=answer)
    head = jigsaw_head(config.jigsaw, PERMUTATIONS)
    model = Multitask(TinyEncoder(), {"jigsaw": head}, (0.5,) * 3, (0.2,) * 3)
    variables = multitask.init_variables(model, jax.random.key(0), SIZE)
    tiles = jnp.asarray(RNG.uniform(size=(3, 9, 6, 6, 3)), jnp.float32)
    rows = jnp.asarray(PERMUTATIONS[[4, 7, 9, 1, 2, 0]]).reshape(3, 2, 9)
    asked, _ = multitask.solve_tiles(model, variables, tiles, rows)
    moved = puzzle.permute_tiles(jnp.repeat(tiles, 2, 0), rows.reshape(6, 9))
    first = jnp.tile(jnp.arange(9), (6, 1, 1))
    again, _ = multitask.solve_tiles(model, variables, moved, first)
    assert asked["jigsaw"].shape == (6, 31)
    for name in asked:
        np.testing.assert_allclose(asked[name], again[name], atol=1e-5)
    assert np.ptp(np.asarray(asked["jigsaw"]), 0).max() > 1e-3


class NormEncoder(Encoder):
    """A convolution and a BatchNorm."""

    @nn.compact
    def __call__(self, images, train=False, edit=None):
        """Maps images [B, H, W, 3] to features [B, 8]."""
        x = self.norm()(name="bn")(Conv(8, 3, 2)(images), train)
        return self.leave("map", jnp.tanh(x), edit).mean((1, 2))


def test_tiles_have_statistics_of_their_own():
    config = _config(jigsaw__encode="tiles")
    heads = make_heads(config, Sizes(3, PERMUTATIONS, 1))
    model = Multitask(NormEncoder(), heads, (0.5,) * 3, (0.2,) * 3)
    variables = multitask.init_variables(model, jax.random.key(0), SIZE)
    images = jnp.asarray(RNG.uniform(size=(4, SIZE, SIZE, 3)), jnp.float32)
    tiles = puzzle.cut_tiles(images, 3)
    rows = jnp.zeros((4, 1, 9), jnp.int32) + jnp.arange(9)
    _, after = multitask.solve_tiles(model, variables, tiles, rows, train=True)
    _, changed = model.apply(variables, images, True, mutable="batch_stats")
    before, whole = variables["batch_stats"], changed["batch_stats"]
    differs = lambda a, b: np.abs(a["bn"]["mean"] - b["bn"]["mean"]).max() > 1e-4  # noqa: E731
    assert differs(after["tiles"], before["tiles"])
    assert not differs(after["encoder"], before["encoder"])
    assert differs(whole["encoder"], before["encoder"])
    assert not differs(whole["tiles"], before["tiles"])
    # The answer to a shuffled image is that to its tiles in that order.
    asked = shortcuts.as_puzzles(images, 3, jnp.arange(4), PERMUTATIONS)
    solved, _ = multitask.solve_tiles(
        model, variables, tiles, jnp.asarray(PERMUTATIONS[:4])[:, None]
    )
    outputs = multitask.answer(model, variables, *asked)
    np.testing.assert_allclose(outputs["jigsaw"], solved["jigsaw"], atol=1e-6)
    plain = model.apply(variables, asked.images, False)
    np.testing.assert_array_equal(outputs["classification"], plain["classification"])


def test_a_curriculum_opens_orders_and_puzzles():
    config = _config(jigsaw__orders=(0.1, 1.0), jigsaw__shuffled=(0.25, 1.0))
    n = 400
    images = np.zeros((n, STORED, STORED, 3), np.uint8)

    def see(view, progress):
        config.jigsaw.view = view
        return jax.jit(make_view(config, PERMUTATIONS))(
            jax.random.key(3), progress, jnp.arange(n), images, np.zeros(n), Styling()
        )

    first, last = see("beside", 0.0), see("beside", 1.0)
    assert set(np.unique(first.orders[n:])) == {0, 1, 2, 3}
    assert len(np.unique(last.orders[n:])) == 31
    assert float(first.for_puzzle[n:].mean()) == pytest.approx(0.25, abs=0.07)
    assert (last.for_puzzle[n:] == 1).all()
    shuffled = [float((see("instead", p).orders > 0).mean()) for p in (0.0, 1.0)]
    assert shuffled == pytest.approx([0.25 * 3 / 4, 30 / 31], abs=0.07)


@pytest.mark.parametrize(
    ("answer", "encode"),
    [("order", "image"), ("positions", "image"), ("positions", "tiles")],
)
def test_four_devices_solve_puzzles_beside_images_like_one(answer, encode):
    n, lr, n_each = 16, 0.05, 3 if encode == "tiles" else 1
    config = _config(
        jigsaw__answer=answer,
        jigsaw__encode=encode,
        jigsaw__bias_whole_image=0.5,
        jigsaw__orders_per_image=n_each,
    )
    heads = make_heads(config, Sizes(3, PERMUTATIONS, 1))
    model = Multitask(TinyEncoder(), heads, (0.5,) * 3, (0.2,) * 3)
    view = make_view(config, PERMUTATIONS)
    first = jax.device_get(multitask.init_variables(model, jax.random.key(1), SIZE))
    optimizer = optax.sgd(lr)
    state = step_lib.init_state(first, optimizer, learner.step_rng(config), None)
    update = step_lib.make_update(model, optimizer, make_losses(config), view)
    batch = {
        "image": RNG.integers(0, 256, (n, STORED, STORED, 3), np.uint8),
        "label": RNG.integers(0, 3, n).astype(np.int32),
        "domain": np.zeros(n, np.int32),
    }
    state, means = update(state, None, Styling(), devices.shard(batch), Now())
    seen = view(
        jax.random.fold_in(learner.step_rng(config), 0),  # the state is donated
        0.0,
        jnp.arange(n),
        batch["image"],
        batch["domain"],
        Styling(),
    )
    assert seen.images.shape[0] == (n if encode == "tiles" else n + n // 2)
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels

    def loss_fn(params):
        outputs = model.apply({"params": params}, seen.images, True)
        classes = cross_entropy(outputs["classification"][:n], batch["label"]).mean()
        asked, first = seen.asked, n
        if encode == "tiles":
            outputs, _ = multitask.solve_tiles(
                model, {"params": params}, seen.tiles, seen.tile_permutations
            )
            first = 0
        if answer == "order":
            orders = asked["puzzle_order"]
            solved = cross_entropy(outputs["jigsaw"], orders)[first:].mean()
        else:
            log_p = outputs["jigsaw_positions"][first:]
            truth = np.asarray(asked["puzzle_permutation"])[first:, :, None]
            solved = -jnp.take_along_axis(log_p, truth, -1).mean()
        return classes + config.losses.jigsaw * solved, (classes, solved)

    grads, (classes, solved) = jax.grad(loss_fn, has_aux=True)(first["params"])
    assert float(means["loss/classification"].compute()) == pytest.approx(
        float(classes), rel=1e-5
    )
    assert float(means["loss/jigsaw"].compute()) == pytest.approx(
        float(solved), rel=1e-5
    )
    assert means["accuracy/classification"].count == n
    asked = [means[f"accuracy/jigsaw_{kind}"].count for kind in ("ordered", "shuffled")]
    assert sum(asked) == n // 2 * n_each
    expected = jax.tree.map(lambda p, g: p - lr * g, first["params"], grads)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6),
        jax.device_get(state.params),
        jax.device_get(expected),
    )


def test_the_picture_shows_puzzles_put_together_as_answered():
    """Of a head that is right about the first image and calls the second ordered."""
    n, config = 2, _config(augment__tile_grayscale=0.0)
    images = RNG.integers(0, 256, (n, SIZE, SIZE, 3), np.uint8)

    def predict_fn(bank, batch):
        padding = [1] * (config.eval.batch_size - n)
        assert batch["order"].tolist() == [1, 2, *padding]
        return {"jigsaw": np.eye(31)[[1, 0]]}

    shuffled, answered = solved_puzzles(
        predict_fn, store_of(images), np.arange(n), config, PERMUTATIONS
    )
    tiles = puzzle.cut_tiles(jnp.asarray(images / np.float32(255)), 3)
    expected = puzzle.shuffle_tiles(tiles, jnp.arange(1, 3), PERMUTATIONS)
    np.testing.assert_allclose(shuffled[1], puzzle.join_tiles(expected), atol=1e-6)
    np.testing.assert_allclose(answered[1][0], images[0] / 255, atol=1e-6)
    np.testing.assert_allclose(answered[1][1], shuffled[1][1], atol=1e-6)
    n_home = int((PERMUTATIONS[2] == np.arange(9)).sum())
    assert list(answered[2]) == ["solved", f"{n_home} of 9"]
