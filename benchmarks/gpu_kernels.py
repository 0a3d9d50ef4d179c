"""Prints the kernels of an encoder's update on an H200, and the memory that they move.

    pip install -e . "jax[cuda12]==0.10.2"     # in an environment of its own
    python benchmarks/gpu_kernels.py [--encoder resnet50] [--size 222] [--batch 128]

No GPU is needed: XLA compiles for the one that it is told of, without trying there
which forms are fast (`--xla_gpu_autotune_level=0`). The program is the encoder's
forward pass in training, the gradient of the mean of its features, and SGD with
momentum. Its kernels are counted by kind, with the GB that they read and write, each
array once a kernel, though it be read in two places of it. Divided by the memory's 4.8
TB/s that is the least time that they can take. How long they take only a GPU can say:
`benchmarks/throughput.py --trace`, then `benchmarks/operations.py`.
"""

import argparse
import collections
import os
import re

os.environ["JAX_PLATFORMS"] = "cpu"  # where the arrays are; programs are for the GPU
os.environ["XLA_FLAGS"] = "--xla_gpu_autotune_level=0"

import jax
import jax.numpy as jnp
from jax.experimental import topologies

from jigsaw_shape.models import encoder_spec

BYTES_PER_S = 4.8e12
# By NVIDIA's data sheet and CUDA's device query.
H200 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  shared_memory_per_block: 49152 shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 4800000000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: 151397597184 cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 }
runtime_version { major: 12 minor: 8 }
device_description_str: "NVIDIA H200"
"""
# XLA's names for numbers, and their bytes.
N_BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "bf16": 2, "f16": 2} | {
    name: 4 for name in ("s32", "u32", "f32")
}
_ARRAY = re.compile(rf"\b({'|'.join(N_BYTES)})\[([\d,]*)\]")
_INSTRUCTION = re.compile(
    r"\s+(?:ROOT )?%([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*?)\)(.*)"
)
_MOVE_NOTHING = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast"}
_MOVE_NOTHING |= {"opt-barrier"}


def compiled(name: str, size: int, batch: int, dtype: str) -> str:
    """Returns XLA's text of the update, compiled for an H200."""
    encoder = encoder_spec(name, "--encoder").build(
        dtype=jnp.dtype(dtype), norm_axis=None, freeze_norm=False
    )
    images = jax.ShapeDtypeStruct((batch, size, size, 3), jnp.dtype(dtype))
    variables = jax.eval_shape(
        lambda key, x: encoder.init(key, x, False), jax.random.key(0), images
    )
    params, state = variables.pop("params"), variables

    def update(params, momentum, state, images):
        def loss(params):
            features, changed = encoder.apply(
                {"params": params, **state}, images, True, mutable=list(state)
            )
            return features.mean(), changed

        gradients, changed = jax.grad(loss, has_aux=True)(params)
        momentum = jax.tree.map(lambda m, g: 0.9 * m + g, momentum, gradients)
        params = jax.tree.map(lambda p, m: p - 0.01 * m, params, momentum)
        return params, momentum, changed

    gpu = topologies.get_topology_desc(
        "h200", "cuda", target_config=H200, topology="1x1x1"
    ).devices[0]
    on_gpu = jax.sharding.SingleDeviceSharding(gpu)
    arguments = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=on_gpu),
        (params, params, state, images),
    )
    return jax.jit(update).lower(*arguments).compile().as_text()


def kernels(text: str) -> list[tuple[str, int, int]]:
    """Returns of each kernel its kind, the bytes that it reads and those it writes."""
    bodies, program, name = {}, {}, ""
    for line in text.splitlines():
        if begins := re.match(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$", line):
            name = "" if begins[1] else begins[2]
            bodies.setdefault(name, "")
        bodies[name] = bodies.get(name, "") + line + "\n"
        if not name and (parts := _INSTRUCTION.match(line)):
            key, shape, operation, operands, rest = parts.groups()
            program[key] = (
                shape,
                operation,
                re.findall(r"%([\w.\-]+)", operands),
                rest,
            )

    def source(key, path=()):
        """Returns where an array was written: a kernel, and which of its outputs."""
        _, operation, operands, rest = program[key]
        if operation == "get-tuple-element":
            index = int(re.search(r"index=(\d+)", rest)[1])
            return source(operands[0], (index, *path))
        if operation == "tuple" and path:
            return source(operands[path[0]], path[1:])
        if operation in ("bitcast", "opt-barrier"):
            return source(operands[0], path)
        return key, path

    def size(key, path):
        arrays = _ARRAY.findall(program[key][0])
        return _n_bytes([arrays[path[0]]] if path else arrays)

    found = []
    for shape, operation, operands, rest in program.values():
        if operation in _MOVE_NOTHING:
            continue
        read = {source(operand) for operand in operands if operand in program}
        kind = operation
        if operation == "custom-call":
            kind = re.search(r'custom_call_target="([^"]+)"', rest)[1]
        elif operation == "fusion":
            body = bodies[re.search(r"calls=%([\w.\-]+)", rest)[1]]
            kinds = {" reduce(": "sums", " dot(": "products", " scatter(": "scatters"}
            kind = next((k for mark, k in kinds.items() if mark in body), "elementwise")
        n_read = sum(size(*array) for array in read)
        found.append((kind, n_read, _n_bytes(_ARRAY.findall(shape))))
    return found


def _n_bytes(arrays: list[tuple[str, str]]) -> int:
    total = 0
    for dtype, shape in arrays:
        n = N_BYTES[dtype]
        for side in filter(None, shape.split(",")):
            n *= int(side)
        total += n
    return total


def main() -> None:
    """Compiles and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--encoder", default="resnet50")
    parser.add_argument("--size", type=int, default=222, help="of the images, in px")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--dtype", default="bfloat16")
    flags = parser.parse_args()
    found = kernels(compiled(flags.encoder, flags.size, flags.batch, flags.dtype))
    by_kind = collections.defaultdict(list)
    for kind, *moved in found:
        by_kind[kind].append(moved)
        by_kind["all"].append(moved)
    print(f"{'':30}{'kernels':>8}{'GB read':>9}{'written':>9}{'least ms':>10}")
    for kind, moved in sorted(by_kind.items(), key=lambda item: -len(item[1])):
        read, written = (sum(column) for column in zip(*moved, strict=True))
        least_ms = 1e3 * (read + written) / BYTES_PER_S
        print(
            f"{kind:30}{len(moved):8}{read / 1e9:9.2f}{written / 1e9:9.2f}"
            f"{least_ms:10.2f}"
        )


if __name__ == "__main__":
    main()
