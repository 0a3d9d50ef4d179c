"""Arrays and functions on several devices at once.

The training step maps with pmap (`training.step`); everything else that computes on
several devices uses `replicate` and `over_devices`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "batch"  # the name of the devices' axis, in every program


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


def shard(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns this process's part of a batch, split between its devices, for pmap.

    Args:
      batch: Arrays [B, ...], the same in every process; B a multiple of the devices.
        Those of JAX stay where they are until the step moves them.

    Returns:
      Arrays [local devices, B / devices, ...], in the order of `jax.devices()`.
    """
    n_devices, n_local = jax.device_count(), jax.local_device_count()
    first = jax.process_index() * n_local

    def local(array):
        split = array.reshape(n_devices, -1, *array.shape[1:])
        return split[first : first + n_local]

    return {name: local(array) for name, array in batch.items()}


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
