"""Images a second of the diversifiers, alone and inside a training step.

    python benchmarks/stylize.py --sizes 128 224 --batches 1 8 64
    python benchmarks/stylize.py --steps-of resnet18 --sizes 84 --batches 64

The first form times each diversifier on batches that stay on the device, every image
changed, medians over `--rounds` interleaved rounds. The second times a training step of
each preset against the one of `erm`, round by round: what diversification costs with
the probabilities that the preset has, and `ddec` beside `jigen`.
"""

import argparse
import itertools
import statistics
import time

import jax
import numpy as np
import throughput

from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.diversify import DIVERSIFIERS, bind, stylizer_files
from jigsaw_shape.system import cpu, devices

PRESETS = ("erm", "fourier", "mixstyle", "randconv", "colour", "sin", "jigen", "ddec")


def interleave(functions: dict, rounds: int) -> dict[str, list[float]]:
    """Returns the seconds of each function in each round, after one unmeasured."""
    times = {name: [] for name in functions}
    for measured in (False, *[True] * rounds):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            if measured:
                times[name].append(time.perf_counter() - began)
    return times


def diversifiers(size_px: int, batch_size: int, rounds: int) -> None:
    """Prints a line for each diversifier."""
    rng = np.random.default_rng(0)
    contents, styles = rng.random((2, batch_size, size_px, size_px, 3), np.float32)
    rngs = jax.random.split(jax.random.key(0), batch_size)
    strengths = np.full(batch_size, 0.9, np.float32)
    arguments = jax.device_put((rngs, contents, styles, strengths))
    pair = stylizer_files.load_pair(stylizer_files.SHIPPED).pair

    def make(name):
        function = jax.jit(bind(name, pair))
        return lambda: jax.block_until_ready(function(*arguments))

    times = interleave({name: make(name) for name in DIVERSIFIERS}, rounds)
    for name, seconds in times.items():
        speed = batch_size / statistics.median(seconds)
        print(f"{name:9s}  {size_px:4d}  {batch_size:5d}  {speed:10.1f}", flush=True)


def steps(encoder: str, dtype: str, size_px: int, batch_size: int, rounds: int) -> None:
    """Prints a line for each preset: its step's images/s, and the share of `erm`'s."""
    functions = {}
    for preset in PRESETS:
        arguments = argparse.Namespace(
            preset="erm" if preset == "colour" else preset, encoder=encoder, dtype=dtype
        )
        config = throughput.make_config(arguments, size_px, batch_size)
        if preset == "colour":
            config.diversify.update(name="colour", p_ordered=(0.5,))
        dataset = throughput.synthetic_dataset(config.data.stored_px)
        store = ImageStore(dataset, cache="none", stored_px=config.data.stored_px)
        batch = devices.shard(store.batch(np.arange(batch_size)))
        functions[preset] = _Step(*throughput.start(config, dataset), batch)
    times = interleave(functions, rounds)
    for preset, seconds in times.items():
        speed = batch_size / statistics.median(seconds)
        ratios = [a / b for a, b in zip(times["erm"], seconds, strict=True)]
        share = statistics.median(ratios)
        line = f"{preset:9s}  {size_px:4d}  {batch_size:5d}  {speed:10.1f}"
        print(f"{line}  {share:12.3f}", flush=True)


class _Step:
    """A training step on one batch, again and again."""

    def __init__(self, state, update, batch):
        self._state, self._update, self._batch = state, update, batch

    def __call__(self):
        self._state, means = self._update(self._state, None, self._batch)
        jax.block_until_ready((self._state, means))


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps-of", metavar="ENCODER", default="")
    parser.add_argument("--dtype", default="float32", help="of the steps")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 224])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    device = jax.devices()[0]
    print(f"{jax.device_count()} x {device.device_kind}, jax {jax.__version__}")
    settings = itertools.product(arguments.sizes, arguments.batches)
    if not arguments.steps_of:
        print("method     size  batch    images/s")
        for size_px, batch_size in settings:
            diversifiers(size_px, batch_size, arguments.rounds)
        return
    print(f"{arguments.steps_of}, {arguments.dtype}")
    print("preset     size  batch    images/s  share of erm")
    for size_px, batch_size in settings:
        steps(
            arguments.steps_of,
            arguments.dtype,
            size_px,
            batch_size,
            arguments.rounds,
        )


if __name__ == "__main__":
    cpu.tune()  # as commands do
    main()
