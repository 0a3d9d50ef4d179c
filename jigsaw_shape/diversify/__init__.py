"""Diversifiers: what changes an image's style and keeps its shapes.

Those of images share one contract, `diversify(rngs, contents, styles, strengths)`:

- rngs: Typed keys [B], one an example. What happens to an image depends on its own
  key, content, style and strength alone, not on the batch.
- contents, styles: float32 [B, H, W, 3] in [0, 1], of one shape, of any size; tiles
  are images. A diversifier without styles ignores them.
- strengths: float32 [B] in [0, 1], drawn by the schedule. At 0 an image comes back bit
  for bit; an image that is its own style comes back but for float rounding, if the
  diversifier uses styles at all. (AdaIN keeps such an image's features exactly, but
  decodes them.)

It returns float32 [B, H, W, 3] in [0, 1], and works under jit, vmap and pmap.
`mixstyle.mix_style` works on features instead, inside the encoder.
"""

import functools
from collections.abc import Callable

import jax

from jigsaw_shape.diversify import adain
from jigsaw_shape.diversify.colour import match_colour
from jigsaw_shape.diversify.edges import draw_edges
from jigsaw_shape.diversify.fourier import mix_amplitude
from jigsaw_shape.diversify.mixstyle import mix_style
from jigsaw_shape.diversify.randconv import convolve_randomly
from jigsaw_shape.diversify.style_partners import partners

__all__ = [
    "DIVERSIFIERS",
    "WITHOUT_STYLES",
    "WITH_PAIR",
    "bind",
    "mix_style",
    "named",
    "partners",
]

Diversifier = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]

DIVERSIFIERS: dict[str, Callable[..., jax.Array]] = {
    "adain": adain.stylize,
    "fourier": mix_amplitude,
    "randconv": convolve_randomly,
    "colour": match_colour,
    "edges": draw_edges,
}
WITHOUT_STYLES = frozenset({"randconv", "edges"})  # do not look at their styles
WITH_PAIR = frozenset({"adain"})  # take a stylizer's networks before the four


def named(names: str) -> tuple[str, ...]:
    """Returns the diversifiers of a list such as `"fourier,randconv"`; () for `""`.

    Raises:
      ValueError: There is no diversifier of one of these names.
    """
    found = tuple(name.strip() for name in names.split(",") if name.strip())
    unknown = [name for name in found if name not in DIVERSIFIERS]
    if unknown:
        raise ValueError(
            f"config.diversify.name has {', '.join(map(repr, unknown))}: "
            f"{', '.join(DIVERSIFIERS)} allowed, several with commas between, or empty "
            "for none"
        )
    return found


def bind(name: str, pair: adain.Pair | None) -> Diversifier:
    """Returns the diversifier of that name, with a stylizer's networks if it needs any.

    Args:
      name: A key of `DIVERSIFIERS`.
      pair: For those of `WITH_PAIR`.
    """
    diversify = DIVERSIFIERS[name]
    return functools.partial(diversify, pair) if name in WITH_PAIR else diversify
