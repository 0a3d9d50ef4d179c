"""One computation in two forms: for CPUs, and for every other platform."""

import functools
from collections.abc import Callable

import jax
from jax import lax

# (x, kernel, stride) -> outputs
Form = Callable[[jax.Array, jax.Array, int], jax.Array]


def by_platform(cpu: Form, default: Form) -> Form:
    """Returns whichever of two functions a program is compiled for, as one function.

    Each is differentiated by itself, and only where it is computed. Reverse mode only.

    Args:
      cpu: `cpu(x, kernel, stride)`, for CPUs.
      default: The same computation for other platforms.
    """

    def choose(stride, wrap, *operands):
        return lax.platform_dependent(
            *operands, cpu=wrap(cpu, stride), default=wrap(default, stride)
        )

    def value(form, stride):
        return lambda x, kernel: form(x, kernel, stride)

    def gradients(form, stride):
        return lambda x, kernel, dy: jax.vjp(value(form, stride), x, kernel)[1](dy)

    @functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
    def function(x, kernel, stride):
        return choose(stride, value, x, kernel)

    function.defvjp(
        lambda x, kernel, stride: (function(x, kernel, stride), (x, kernel)),
        lambda stride, residuals, dy: choose(stride, gradients, *residuals, dy),
    )
    return function
