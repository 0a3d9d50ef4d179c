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

It returns float32 [B, H, W, 3] in [0, 1], and works under jit and vmap.
A new one is a function of this contract and a line in `DIVERSIFIERS`.
`feature_styles` work on features instead, inside the encoder.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax

from jigsaw_shape.data.names import listed
from jigsaw_shape.diversify import adain
from jigsaw_shape.diversify.augmix import augment_and_mix
from jigsaw_shape.diversify.colour import match_colour
from jigsaw_shape.diversify.edges import draw_edges
from jigsaw_shape.diversify.fourier import mix_amplitude
from jigsaw_shape.diversify.prime import mix_primitives
from jigsaw_shape.diversify.randconv import convolve_randomly
from jigsaw_shape.diversify.two_tone import draw_two_tone


class Diversifier(NamedTuple):
    """A diversifier of images.

    Attributes:
      function: Takes (rngs, contents, styles, strengths), as above; before them, where
        it uses a stylizer, the stylizer's networks (`adain.Pair`).
      uses_styles: Whether it looks at its styles.
      restyle: Of one that uses a stylizer: `restyle(pair, contents, summaries,
        strengths)`, the same of styles that are known by their `adain.summary`.
    """

    function: Callable[..., jax.Array]
    uses_styles: bool = True
    restyle: Callable[..., jax.Array] | None = None

    @property
    def uses_stylizer(self) -> bool:
        """Whether it needs a stylizer's networks."""
        return self.restyle is not None


DIVERSIFIERS: dict[str, Diversifier] = {
    "adain": Diversifier(adain.stylize, restyle=adain.restyle),
    "fourier": Diversifier(mix_amplitude),
    "randconv": Diversifier(convolve_randomly, uses_styles=False),
    "colour": Diversifier(match_colour),
    "edges": Diversifier(draw_edges, uses_styles=False),
    "two_tone": Diversifier(draw_two_tone, uses_styles=False),
    "augmix": Diversifier(augment_and_mix, uses_styles=False),
    "prime": Diversifier(mix_primitives, uses_styles=False),
}


def named(names: str) -> tuple[str, ...]:
    """Returns the diversifiers of a list such as `"fourier,randconv"`; () for `""`.

    Raises:
      ValueError: There is no diversifier of one of these names.
    """
    found = listed(names)
    unknown = [name for name in found if name not in DIVERSIFIERS]
    if unknown:
        raise ValueError(
            f"config.diversify.name has {', '.join(map(repr, unknown))}: "
            f"{', '.join(DIVERSIFIERS)} allowed, several with commas between, or empty "
            "for none"
        )
    return found


def with_styles(names: str) -> tuple[str, ...]:
    """Returns those of the `named` diversifiers that look at their styles."""
    return tuple(name for name in named(names) if DIVERSIFIERS[name].uses_styles)


def bind(name: str, pair: adain.Pair | None) -> Callable[..., jax.Array]:
    """Returns `diversify(rngs, contents, styles, strengths)` of a diversifier.

    Args:
      name: A key of `DIVERSIFIERS`.
      pair: A stylizer's networks, for those that use one.
    """
    found = DIVERSIFIERS[name]
    return functools.partial(found.function, pair) if found.restyle else found.function
