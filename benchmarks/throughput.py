"""Images a second of a whole run against the step alone, and the memory taken.

    python benchmarks/throughput.py --encoder resnet18 --sizes 222 --batches 64 128

For each setting: the step on one synthetic batch that never leaves the device; what
`train` does for each step, with images from the store; their ratio. Evaluations are not
in it, nor compile time. Medians over `--rounds` interleaved rounds of `--steps` steps;
the ratio is the median of the rounds' own.
Peak memory is the device's where it tells, else the process's.

`--trace DIR` writes what the device does in one more round of steps there, for
`benchmarks/operations.py` and for TensorBoard's and XProf's trace viewers.
"""

import argparse
import itertools
import resource
import statistics
import time

import jax
import numpy as np

from jigsaw_shape import checks
from jigsaw_shape import config as config_lib
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.presets import PRESETS, apply_preset
from jigsaw_shape.system import cpu, devices
from jigsaw_shape.training import initial_weights, loop, run_data
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training.timetable import RunLength

N_IMAGES = 2048
N_CLASSES = 7
N_STEPS = 1000  # of the schedules


def synthetic_dataset(stored_px: int) -> Dataset:
    """Returns noise in three domains, as many images as fill a short epoch."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (N_IMAGES, stored_px, stored_px, 3), np.uint8)
    numbers = np.arange(N_IMAGES, dtype=np.int32)
    return Dataset(
        name="synthetic",
        classes=tuple(map(str, range(N_CLASSES))),
        domains=("a", "b", "c"),
        label=numbers % N_CLASSES,
        domain=numbers % 3,
        read=images.__getitem__,
    )


def make_config(arguments, size_px: int, batch_size: int):
    """Returns the settings of one line of the table."""
    config = config_lib.default_config()
    apply_preset(config, arguments.preset)
    config.model.encoder = arguments.encoder
    config.model.dtype = arguments.dtype
    config.data.image_size = size_px
    config.data.batch_size = batch_size
    checks.check(config, jax.device_count())
    return config


def start(config, dataset: Dataset):
    """Returns the state before the first step, and `update(state, bank, batch)`."""
    pretrained = initial_weights.load(config)
    config = initial_weights.with_pixels(config, pretrained)
    learner = learner_lib.make_learner(config, N_CLASSES, len(dataset.domains))
    variables = learner_lib.init_variables(config, learner.model, pretrained)
    length = RunLength(N_STEPS, N_STEPS // 10, frozenset({N_STEPS}))
    state, update, timetable = loop.start(config, learner, variables, length)
    now = timetable.at(0)
    styling, _ = run_data.load_styling(config, dataset, splits=None)
    styling = devices.replicate(styling)
    return state, lambda state, bank, batch: update(state, bank, styling, batch, now)


def measure(arguments, size_px: int, batch_size: int) -> dict[str, float]:
    """Returns seconds a step, alone and end to end, their ratio, and to compile."""
    config = make_config(arguments, size_px, batch_size)
    store = ImageStore(
        synthetic_dataset(config.data.stored_px),
        cache=arguments.cache,
        stored_px=config.data.stored_px,
        place=devices.replicate,
    )
    state, update = start(config, store.dataset)
    rng = np.random.default_rng(0)

    def chunks(n):
        return [rng.permutation(N_IMAGES)[:batch_size] for _ in range(n)]

    fixed = devices.shard(store.batch(chunks(1)[0]))
    fixed = jax.device_put(fixed) if jax.device_count() == 1 else fixed

    def advance(state, batches):
        for batch in batches:
            state, means = update(state, store.bank, batch)
        return jax.block_until_ready((state, means))[0]

    began = time.perf_counter()
    state = advance(state, [fixed])
    seconds = {"compile": time.perf_counter() - began}
    times = {"step": [], "run": []}
    for _ in range(arguments.rounds):
        began = time.perf_counter()
        state = advance(state, [fixed] * arguments.steps)
        times["step"].append((time.perf_counter() - began) / arguments.steps)
        began = time.perf_counter()
        batches = store.batches(chunks(arguments.steps))
        state = advance(state, map(devices.shard, batches))
        times["run"].append((time.perf_counter() - began) / arguments.steps)
    if arguments.trace:
        with jax.profiler.trace(arguments.trace):
            advance(state, [fixed] * arguments.steps)
    ratios = [a / b for a, b in zip(times["step"], times["run"], strict=True)]
    medians = {name: statistics.median(t) for name, t in times.items()}
    return seconds | medians | {"ratio": statistics.median(ratios)}


def peak_memory_gib() -> float:
    """Returns the device's peak memory where it tells, else the process's."""
    stats = jax.local_devices()[0].memory_stats() or {}
    bytes_in_use = stats.get("peak_bytes_in_use")
    if bytes_in_use is None:
        bytes_in_use = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return bytes_in_use / 2**30


def main() -> None:
    """Prints one line for each size and batch."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--preset", default="jigen", choices=list(PRESETS))
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--cache", default="auto")
    parser.add_argument("--sizes", type=int, nargs="+", default=[84, 222])
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trace", metavar="DIR", default="")
    arguments = parser.parse_args()
    device = jax.devices()[0]
    print(
        f"{arguments.encoder}, {arguments.preset}, {arguments.dtype}, "
        f"{jax.device_count()} x {device.device_kind}, jax {jax.__version__}"
    )
    print("size  batch  step img/s  run img/s  ratio  compile s  peak GiB so far")
    for size_px, batch_size in itertools.product(arguments.sizes, arguments.batches):
        seconds = measure(arguments, size_px, batch_size)
        step, run = batch_size / seconds["step"], batch_size / seconds["run"]
        line = f"{size_px:4d}  {batch_size:5d}  {step:10.1f}  {run:9.1f}"
        line += f"  {seconds['ratio']:5.3f}  {seconds['compile']:9.1f}"
        print(line, f" {peak_memory_gib():8.2f}", flush=True)


if __name__ == "__main__":
    cpu.tune()  # as commands do
    main()
