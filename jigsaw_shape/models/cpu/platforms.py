"""One computation in two forms: for CPUs, and for every other platform."""

from collections.abc import Callable

import jax
from jax import lax

# (*arrays, setting) -> outputs
Form = Callable[..., jax.Array]


def by_platform(cpu: Form, default: Form) -> Form:
    """Returns whichever of two functions a program is compiled for, as one function.

    Each is differentiated by itself, and only where it is computed. Reverse mode only.

    Args:
      cpu: `cpu(*arrays, setting)`, for CPUs; the setting is a constant.
      default: The same computation for other platforms.
    """

    def function(*arguments):
        *arrays, setting = arguments

        def value(form):
            return lambda *arrays: form(*arrays, setting)

        def gradients(form):
            return lambda dy, *arrays: jax.vjp(value(form), *arrays)[1](dy)

        def choose(wrap, *operands):
            return lax.platform_dependent(
                *operands, cpu=wrap(cpu), default=wrap(default)
            )

        chosen = jax.custom_vjp(lambda *arrays: choose(value, *arrays))
        chosen.defvjp(
            lambda *arrays: (chosen(*arrays), arrays),
            lambda arrays, dy: choose(gradients, dy, *arrays),
        )
        return chosen(*arrays)

    return function
