"""Prints what BatchNorm's sums take in several forms, and at how many GB/s they read.

    python benchmarks/norm_sums.py [--batch 128] [--dtype bfloat16] [--rounds 7]

Over maps of a ResNet-50 at 222 px: forwards the sums of x and of x x, for the gradient
those of dy and of x dy, in float32. The forms: as `models.layers.BatchNorm` has them;
both sums in one reduction; first along the width, then the rest; as products with a
vector of ones. Medians over rounds in turns, in ms. A form as fast as the memory is
worth having in the layer; a sum is read once forwards and two arrays for the gradient.
"""

import argparse
import statistics
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from stylize import interleave

from jigsaw_shape.system import cpu

# Side of the map, channels.
MAPS = [(111, 64), (56, 64), (56, 256), (28, 512), (14, 1024), (7, 2048)]
_N_CALLS = 10  # of a program in one timing

Sums = tuple[jax.Array, jax.Array]


def apart(x: jax.Array, y: jax.Array) -> Sums:
    """Returns the sums of `y` and of `x * y` over all axes but the last."""
    x, y = x.astype(jnp.float32), y.astype(jnp.float32)
    return y.sum((0, 1, 2)), (x * y).sum((0, 1, 2))


def together(x: jax.Array, y: jax.Array) -> Sums:
    """Returns the same by one reduction of two operands."""
    x, y = x.astype(jnp.float32), y.astype(jnp.float32)

    def add(one, other):
        return one[0] + other[0], one[1] + other[1]

    zero = jnp.zeros((), jnp.float32)
    return lax.reduce((y, x * y), (zero, zero), add, (0, 1, 2))


def by_stages(x: jax.Array, y: jax.Array) -> Sums:
    """Returns the same, first along the width and then over what that leaves."""
    x, y = x.astype(jnp.float32), y.astype(jnp.float32)
    rows = lax.optimization_barrier((y.sum(2), (x * y).sum(2)))
    return rows[0].sum((0, 1)), rows[1].sum((0, 1))


def by_products(x: jax.Array, y: jax.Array) -> Sums:
    """Returns the same by products of a vector of ones with matrices."""
    c = x.shape[-1]
    x, y = x.reshape(-1, c), y.reshape(-1, c)
    ones = jnp.ones(len(x), x.dtype)

    def total(matrix):
        return jnp.dot(ones, matrix, preferred_element_type=jnp.float32)

    return total(y), total(x * y)


FORMS: dict[str, Callable[[jax.Array, jax.Array], Sums]] = {
    "as it is": apart,
    "one reduction": together,
    "two stages": by_stages,
    "products": by_products,
}


def measure(batch: int, side: int, channels: int, dtype: str, rounds: int) -> None:
    """Prints a line for the sums forwards and one for those of the gradient."""
    keys = jax.random.split(jax.random.key(0))
    shape = (batch, side, side, channels)
    x, dy = (jax.random.normal(key, shape, dtype) for key in keys)
    for of, arguments in (("forwards", (x,)), ("gradient", (x, dy))):
        programs = {
            name: jax.jit(lambda *given, form=form: form(given[0], given[-1]))
            .lower(*arguments)
            .compile()
            for name, form in FORMS.items()
        }

        def call(program, arguments=arguments):
            for _ in range(_N_CALLS):
                sums = program(*arguments)
            jax.block_until_ready(sums)

        times = interleave(
            {
                name: lambda program=program: call(program)
                for name, program in programs.items()
            },
            rounds,
        )
        read_gb = sum(array.nbytes for array in arguments) / 1e9
        line = f"{side:4d} px {channels:5d}  {of}"
        for seconds in times.values():
            each_s = statistics.median(seconds) / _N_CALLS
            line += f"  {1e3 * each_s:8.3f} {read_gb / each_s:6.0f}"
        print(line, flush=True)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{jax.devices()[0].device_kind}, batch {arguments.batch}, {arguments.dtype}")
    print(f"{'ms, GB/s':23}" + "".join(f"  {name:>15}" for name in FORMS))
    for side, channels in MAPS:
        measure(arguments.batch, side, channels, arguments.dtype, arguments.rounds)


if __name__ == "__main__":
    cpu.tune()  # as commands do
    main()
