"""What a training step of each method costs against one of `erm`.

    python benchmarks/methods.py --encoder resnet18 --size 84 --batch 32
    python benchmarks/methods.py --count
    python benchmarks/methods.py --presets puzzle puzzle+jigsaw.encode=tiles

The first form times each preset's step beside erm's, in turns, on one synthetic batch;
a line says how many times as long it takes, the median over `--rounds` turns, and what
it took to compile. On a CPU it is the processor's time, which other work beside it
hardly changes. The second form counts the floating point operations of the step's
program, whatever else runs beside it, and compiles nothing, unless `--memory` asks what
a step holds beside its arguments. (The count takes a loop for one of its rounds: of
`augmix` it has one image's operations.) Fields of a preset can be changed, as in the
last line.
"""

import argparse
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import throughput

from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.presets import PRESETS
from jigsaw_shape.system import cpu, devices
from jigsaw_shape.training import learner as learner_lib


def _prepare(arguments, preset: str):
    """Returns the state, `update(state, bank, batch)` and a batch of a preset."""
    preset, *fields = preset.split("+")
    named = argparse.Namespace(
        preset=preset, encoder=arguments.encoder, dtype=arguments.dtype
    )
    config = throughput.make_config(named, arguments.size, arguments.batch)
    for key, _, value in (field.partition("=") for field in fields):
        kind = type(config[key.split(".")[0]][key.split(".")[1]])
        value = value == "True" if kind is bool else kind(value)
        config.update_from_flattened_dict({key: value})
    dataset = throughput.synthetic_dataset(config.data.stored_px)
    store = ImageStore(dataset, cache="none", stored_px=config.data.stored_px)
    batch = devices.shard(store.batch(np.arange(arguments.batch)))
    return *throughput.start(config, dataset), batch


def make_step(arguments, preset: str):
    """Returns a function that makes one step of a preset."""
    state, update, batch = _prepare(arguments, preset)

    def step():
        nonlocal state
        state, means = update(state, None, batch)
        jax.block_until_ready((state, means))

    return step


def seconds(step) -> float:
    """Returns how long a call takes."""
    on_cpu = jax.default_backend() == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    began = clock()
    step()
    return clock() - began


def count(arguments, preset: str) -> tuple[float, float]:
    """Returns a step's operations, in 1e9, and its memory beside its arguments, MiB."""
    state, update, batch = _prepare(arguments, preset)
    lowered = jax.jit(update).lower(state, None, batch)
    operations = lowered.cost_analysis()["flops"] / 1e9
    if not arguments.memory:
        return operations, float("nan")
    needed = lowered.compile().memory_analysis()
    return operations, needed.temp_size_in_bytes / 2**20


def _zeros(config, model, pretrained):
    """Stands for `learner.init_variables`, which would compile."""
    del pretrained
    size = config.data.image_size
    images = jnp.zeros((1, size, size, 3))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images, False))
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), dict(shapes))
    return {"batch_stats": {}, **zeros}


def main() -> None:
    """Prints one line for each preset."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--size", type=int, default=84)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", action="store_true", help="operations, not time")
    parser.add_argument("--memory", action="store_true", help="with --count")
    parser.add_argument(
        "--presets",
        nargs="+",
        default=[name for name in PRESETS if name != "wise_ft"],  # wants a first state
        help="perhaps with numbers or words for fields, +KEY=VALUE",
    )
    arguments = parser.parse_args()
    if arguments.memory and not arguments.count:
        parser.error("--memory is counted, not timed: add --count")
    device = jax.devices()[0]
    print(
        f"{arguments.encoder}, {arguments.size} px, batch {arguments.batch}, "
        f"{jax.device_count()} x {device.device_kind}, jax {jax.__version__}"
    )
    if arguments.count:
        learner_lib.init_variables = _zeros
        memory = "  MiB a step" if arguments.memory else ""
        print(f"preset          GFLOP a step{memory}", flush=True)
        for preset in arguments.presets:
            operations, mib = count(arguments, preset)
            memory = f"  {mib:10.0f}" if arguments.memory else ""
            print(f"{preset:14s}  {operations:12.2f}{memory}", flush=True)
        return
    print("preset          x erm  ms/step  compile s", flush=True)
    erm = make_step(arguments, "erm")
    seconds(erm)
    for preset in arguments.presets:
        step = make_step(arguments, preset)
        compile_s = seconds(step)
        turns = [(seconds(erm), seconds(step)) for _ in range(arguments.rounds)]
        ratio = statistics.median(b / a for a, b in turns)
        step_ms = 1000 * statistics.median(b for _, b in turns)
        line = f"{preset:14s}  {ratio:5.2f}  {step_ms:7.0f}  {compile_s:9.1f}"
        print(line, flush=True)


if __name__ == "__main__":
    cpu.tune()  # as commands do
    main()
