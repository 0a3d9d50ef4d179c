"""Prints what the depthwise convolution costs, alone and in EfficientNet-Lite0.

    python benchmarks/depthwise.py [--batch 64] [--size-px 84] [--grouped]

Three forms: XLA's grouped convolution; shifted sums with the derivatives that autodiff
makes; shifted sums with those of `jigsaw_shape/models/operations/depthwise.py`. In
the network the first is measured only with --grouped: a minute on 2 CPU cores.
"""

import argparse
import functools
import time

import jax
import jax.numpy as jnp

from jigsaw_shape.models import ENCODERS, layers
from jigsaw_shape.models.operations.depthwise import (
    depthwise_conv,
    depthwise_grouped,
    depthwise_shifted,
)
from jigsaw_shape.system import cpu

FORMS = {
    "grouped": depthwise_grouped,
    "autodiff": depthwise_shifted,
    "ours": depthwise_conv,
}
# Height and width, channels, kernel size, stride: EfficientNet-Lite0's at 84 px.
LAYERS = [
    (42, 32, 3, 1),
    (42, 96, 3, 2),
    (21, 144, 3, 1),
    (21, 144, 5, 2),
    (11, 240, 5, 1),
    (6, 480, 3, 1),
    (6, 672, 5, 1),
    (3, 1152, 5, 1),
]


def seconds(fn, *args, n_runs: int = 5) -> float:
    """Returns the least time that a call takes, once compiled."""
    compiled = jax.jit(fn).lower(*args).compile()
    times = []
    for _ in range(n_runs):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*args))
        times.append(time.perf_counter() - start)
    return min(times[1:])


def layer(conv, batch: int, h: int, c: int, k: int, stride: int) -> tuple[float, float]:
    """Returns ms of the convolution, and of it and both its derivatives."""
    x = jax.random.normal(jax.random.key(0), (batch, h, h, c))
    kernel = jax.random.normal(jax.random.key(1), (k, k, 1, c))
    conv = functools.partial(conv, stride=stride)

    def both(x, kernel):
        y, backward = jax.vjp(conv, x, kernel)
        return y, backward(y)

    return 1e3 * seconds(conv, x, kernel), 1e3 * seconds(both, x, kernel)


def network(conv, batch: int, size_px: int) -> tuple[float, float]:
    """Returns EfficientNet-Lite0's images/s in training and in inference."""
    layers.depthwise_conv = conv
    module = ENCODERS["efficientnet_lite0"].build()
    images = jax.random.normal(jax.random.key(0), (batch, size_px, size_px, 3))
    variables = jax.jit(lambda key: module.init(key, images[:1], False))(
        jax.random.key(1)
    )

    def loss(params, batch_stats, images):
        features, updated = module.apply(
            {"params": params, "batch_stats": batch_stats},
            images,
            True,
            mutable=["batch_stats"],
        )
        return jnp.square(features).mean(), updated

    def step(variables, images):
        gradients, updated = jax.grad(loss, has_aux=True)(
            variables["params"], variables["batch_stats"], images
        )
        params = jax.tree.map(lambda p, g: p - 0.01 * g, variables["params"], gradients)
        return {"params": params, **updated}

    def infer(variables, images):
        return module.apply(variables, images, False)

    train_s = seconds(step, variables, images)
    infer_s = seconds(infer, variables, images)
    return batch / train_s, batch / infer_s


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size-px", type=int, default=84)
    parser.add_argument("--grouped", action="store_true")
    args = parser.parse_args()

    print(f"batch {args.batch}; ms forward, ms forward and backward")
    print(f"{'layer':>22} " + "".join(f"{name:>18}" for name in FORMS))
    for h, c, k, stride in LAYERS:
        print(f"{h:>4}x{h}x{c} k{k} s{stride}".rjust(22), end=" ")
        for conv in FORMS.values():
            forward, both = layer(conv, args.batch, h, c, k, stride)
            print(f"{forward:>9.1f}{both:>9.1f}", end="", flush=True)
        print()
    print(f"\nEfficientNet-Lite0, {args.size_px} px, images/s: training, inference")
    for name, conv in FORMS.items():
        if name != "grouped" or args.grouped:
            train, infer = network(conv, args.batch, args.size_px)
            print(f"{name:>22} {train:>9.1f}{infer:>9.1f}", flush=True)


if __name__ == "__main__":
    cpu.tune()  # as commands do
    main()
