"""Prints what computations that CPUs do in a form of their own take in both forms.

    python benchmarks/cpu_forms.py [--batch 64] [--rounds 7]

The 3x3 convolutions of a ResNet-18 at 84 px, forward and both derivatives, by XLA and
by tiles; resizing by products of matrices and by sums; grey as a sum over the axis of
channels and as slices added. Medians over rounds in turns, in ms. Depthwise
convolutions have `benchmarks/depthwise.py`; forms that only matter inside a network
show in a trace (`benchmarks/throughput.py --trace`, `benchmarks/operations.py`).
"""

import argparse
import statistics

import jax
import jax.numpy as jnp
from stylize import interleave

from jigsaw_shape.models.operations import winograd
from jigsaw_shape.pixels import augment, resampling
from jigsaw_shape.system import cpu

# Side of the map, channels.
LAYERS = [(21, 64), (11, 128), (6, 256), (3, 512)]
# Sides before and after.
SIZES = [(227, 84), (256, 222), (64, 60)]


def compare(name: str, xla, ours, arguments, rounds: int) -> None:
    """Prints the median ms of both, in turns, and how many times faster ours is."""
    programs = [jax.jit(form).lower(*arguments).compile() for form in (xla, ours)]
    times = interleave(
        {
            program: lambda program=program: jax.block_until_ready(program(*arguments))
            for program in programs
        },
        rounds,
    )
    before, after = (1e3 * statistics.median(seconds) for seconds in times.values())
    print(f"{name:>28} {before:9.2f} {after:9.2f} {before / after:7.2f}", flush=True)


def convolutions(batch: int, rounds: int) -> None:
    """Compares the convolution, and each of its derivatives, by itself."""

    def derivative(form, argument):
        def gradient(x, kernel, dy):
            return jax.vjp(lambda *args: form(*args, 1), x, kernel)[1](dy)[argument]

        return gradient

    forms = (winograd.convolution, winograd.conv3x3)
    for side, channels in LAYERS:
        x = jax.random.normal(jax.random.key(0), (batch, side, side, channels))
        kernel = jax.random.normal(jax.random.key(1), (3, 3, channels, channels))
        name = f"{side} px, {channels} channels"
        plain = [lambda x, kernel, form=form: form(x, kernel, 1) for form in forms]
        compare(name, *plain, (x, kernel), rounds)
        for argument, of in enumerate(("for the input", "for the kernel")):
            both = [derivative(form, argument) for form in forms]
            compare(of, *both, (x, kernel, x), rounds)


def pixels(batch: int, rounds: int) -> None:
    """Compares resizing and grey."""
    for before, after in SIZES:
        shape = (batch, before, before, 3)
        images = jax.random.randint(jax.random.key(0), shape, 0, 256, jnp.uint8)
        weights = resampling.resize_weights(
            jnp.zeros(batch), jnp.full(batch, float(before)), before, after
        )
        compare(
            f"resize, {before} to {after} px",
            resampling.by_products,
            resampling.by_sums,
            (images, weights, weights),
            rounds,
        )
    images = jax.random.uniform(jax.random.key(0), (batch, 84, 84, 3))
    shares = jnp.full(3, 1 / 3)
    compare(
        "grey, 84 px",
        lambda images, shares: (images * shares).sum(-1, keepdims=True),
        augment.grey,
        (images, shares),
        rounds,
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{'batch ' + str(arguments.batch):>28} {'XLA ms':>9} {'ours ms':>9}   ratio")
    convolutions(arguments.batch, arguments.rounds)
    pixels(arguments.batch, arguments.rounds)


if __name__ == "__main__":
    cpu.tune()  # as commands do
    main()
