"""Arrays and functions on several devices at once.

The training step and its prediction map with `map_devices`; everything else that
computes on several devices uses `replicate` and `over_devices`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "batch"  # the name of the devices' axis, in every program
MAPPED_BY = "pmap"  # or "shard_map", under jit: for the day when JAX has no pmap


def replicate(tree: Any) -> Any:
    """Returns `tree` with a copy of each array on every device of every process."""
    sharding = NamedSharding(Mesh(jax.devices(), (AXIS,)), PartitionSpec())
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def put(leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(leaf)))
        # Only host memory may be put on devices of other processes.
        return jax.device_put(np.asarray(leaf), sharding)

    return jax.tree.map(put, tree)


def own_part(whole: np.ndarray) -> np.ndarray:
    """Returns what the devices of this process get of an array [B, ...] for all.

    Args:
      whole: The same in every process; B a multiple of the number of devices.
    """
    n = len(whole) // jax.process_count()
    return whole[jax.process_index() * n :][:n]


def shard(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns this process's part of a batch, split between its devices.

    Args:
      batch: Arrays [b, ...] of `own_part`; b a multiple of this process's devices.
        Those of JAX stay where they are until the step moves them.

    Returns:
      Arrays [local devices, b / local devices, ...], in the order of `jax.devices()`.
    """
    n_local = jax.local_device_count()

    def split(array):
        return array.reshape(n_local, -1, *array.shape[1:])

    return {name: split(array) for name, array in batch.items()}


def map_devices(
    function: Callable[..., Any], in_axes: Sequence[int | None], donate: tuple = ()
) -> Callable[..., Any]:
    """Returns `function`, compiled, at work on every device of every process.

    Within it the devices' axis is called `AXIS`. What it returns must be the same on
    all of them, summed or gathered over that axis. `lower` is that of `jax.jit`.

    Args:
      function: Called on each device with its part of the arguments.
      in_axes: Of each argument: None for one that every device gets whole, or 0 for
        what `shard` returned, of whose first axis each device gets an entry.
      donate: Which arguments are donated.
    """
    if MAPPED_BY == "pmap":
        return jax.pmap(
            function, AXIS, in_axes=in_axes, out_axes=None, donate_argnums=donate
        )
    mesh = Mesh(jax.devices(), (AXIS,))
    whole, split = PartitionSpec(), PartitionSpec(AXIS)

    def of_device(*arguments):
        parts = [
            argument if axis is None else jax.tree.map(lambda x: x[0], argument)
            for axis, argument in zip(in_axes, arguments, strict=True)
        ]
        return function(*parts)

    compiled = jax.jit(
        jax.shard_map(
            of_device,
            mesh=mesh,
            in_specs=tuple(whole if axis is None else split for axis in in_axes),
            out_specs=whole,
            check_vma=False,  # what is gathered counts as different on each device
        ),
        donate_argnums=donate,
    )

    def place(local):
        if isinstance(local, jax.core.Tracer):  # is only looked at
            return local
        sharding = NamedSharding(mesh, split)
        return jax.make_array_from_process_local_data(sharding, local)

    def placed(arguments):
        return [
            argument if axis is None else jax.tree.map(place, argument)
            for axis, argument in zip(in_axes, arguments, strict=True)
        ]

    def call(*arguments):
        return compiled(*placed(arguments))

    call.lower = lambda *arguments: compiled.lower(*placed(arguments))
    return call


def over_devices(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns `function(tree, *arrays)`, compiled, with its batch split over devices.

    For one process. Each device computes B / devices examples of the arrays [B, ...],
    and the results [B, ...] are put together again.

    Args:
      function: Called on each device with the whole tree and its part of the arrays.
    """
    whole, split = PartitionSpec(), PartitionSpec(AXIS)

    def compute(tree, *arrays):
        return jax.shard_map(
            function,
            mesh=Mesh(jax.devices(), (AXIS,)),
            in_specs=(whole, *(split for _ in arrays)),
            out_specs=split,
        )(tree, *arrays)

    return jax.jit(compute)
