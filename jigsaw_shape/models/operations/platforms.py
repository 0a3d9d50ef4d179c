"""What a program is compiled for, and how to keep XLA from computing things twice."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

# (*arrays, setting) -> outputs
Form = Callable[..., jax.Array]


def by_platform(default: Form, **forms: Form) -> Form:
    """Returns whichever of several functions a program is compiled for, as one.

    Each is differentiated by itself, and only where it is computed. Reverse mode only.

    Args:
      default: `default(*arrays, setting)`; the setting is a constant.
      **forms: The same computation for the platforms `cpu`, `cuda`, `rocm` or `tpu`.
    """

    def function(*arguments):
        *arrays, setting = arguments

        def value(form):
            return lambda *arrays: form(*arrays, setting)

        def gradients(form):
            return lambda dy, *arrays: jax.vjp(value(form), *arrays)[1](dy)

        def choose(wrap, *operands):
            wrapped = {platform: wrap(form) for platform, form in forms.items()}
            return lax.platform_dependent(*operands, default=wrap(default), **wrapped)

        chosen = jax.custom_vjp(lambda *arrays: choose(value, *arrays))
        chosen.defvjp(
            lambda *arrays: (chosen(*arrays), arrays),
            lambda arrays, dy: choose(gradients, dy, *arrays),
        )
        return chosen(*arrays)

    return function


def unfused(function: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    """Returns `function(*arrays)`, computed by itself and once.

    XLA would fuse what comes before into it, and it into what comes after, and so
    compute each as often as it is read. A barrier after it forbids the second, but is
    dropped on CPUs. There XLA does not fuse into or out of a branch whose condition it
    cannot know. The condition is that the first number of the last array is finite.
    Where it is not, the result is NaN, or 0 if it is of integers. Let the last one be a
    gradient: such a number spoils the step in any case.

    Args:
      function: From arrays to one array.
      *arrays: The last one of floats.
    """
    result = jax.eval_shape(function, *arrays)
    is_float = jnp.issubdtype(result.dtype, jnp.floating)
    nothing = jnp.nan if is_float else 0

    def in_a_branch(*arrays):
        return lax.cond(
            jnp.isfinite(arrays[-1].ravel()[0]),
            function,
            lambda *_: jnp.full(result.shape, nothing, result.dtype),
            *arrays,
        )

    def behind_a_barrier(*arrays):
        return lax.optimization_barrier(function(*arrays))

    return lax.platform_dependent(*arrays, cpu=in_a_branch, default=behind_a_barrier)
