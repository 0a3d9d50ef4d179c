"""The data set `emoji`: one thing drawn by many hands; a class is a name.

Eleven designs draw from one list of names. They come as the npm packages
`@iconify-json/{design}`, in the versions that stand here; `data.icon_packages` reads
them and `data.emoji_drawings` draws them. This module has the rules alone: which names
count, which drawings are one name's, which names are held out, which designs are of one
drawer.
"""

import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import NamedTuple

from jigsaw_shape.data.icon_packages import IconSet
from jigsaw_shape.data.names import plain

NAME = "emoji"
LEAST_DESIGNS = 6  # a name counts where at least so many designs draw it

# Words of names that are left out: signs rather than things, faces, which differ by a
# mouth's line, and people, whom the lists repeat as man, woman and person.
_LEFT_OUT = re.compile(
    r"(^|-)(flags?|arrows?|buttons?|keycap|face|oclock|thirty|clock|skin|regional|"
    r"letter)(-|$)|^(man|woman|men|women|person|people|family|couple|kiss)-"
)


class Design(NamedTuple):
    """One drawing of the whole list.

    Attributes:
      version: Of the npm package that the benchmark is drawn from.
      drawer: Designs of one drawer share outlines.
      look: How it is drawn: `"shaded"`, `"flat"`, `"outline"` or `"silhouette"`.
      licence: SPDX's name.
      author: Whom the licence asks to name.
    """

    version: str
    drawer: str
    look: str
    licence: str
    author: str


_FLUENT = "Microsoft, github.com/microsoft/fluentui-emoji"
_NOTO = "Google, github.com/googlefonts/noto-emoji"
_EMOJIONE = "EmojiOne, github.com/EmojiTwo/emojitwo"
DESIGNS: dict[str, Design] = {
    "noto": Design("1.2.9", "noto", "shaded", "Apache-2.0", _NOTO),
    "noto-v1": Design("1.2.5", "noto", "flat", "Apache-2.0", _NOTO),
    "twemoji": Design(
        "1.2.5", "twemoji", "flat", "CC-BY-4.0", "Twitter, github.com/jdecked/twemoji"
    ),
    "openmoji": Design(
        "1.2.29",
        "openmoji",
        "outline",
        "CC-BY-SA-4.0",
        "OpenMoji, github.com/hfg-gmuend/openmoji",
    ),
    "fluent-emoji": Design("1.2.7", "fluent", "shaded", "MIT", _FLUENT),
    "fluent-emoji-flat": Design("1.2.6", "fluent", "flat", "MIT", _FLUENT),
    "fluent-emoji-high-contrast": Design(
        "1.2.6", "fluent", "silhouette", "MIT", _FLUENT
    ),
    "emojione": Design("1.2.3", "emojione", "flat", "CC-BY-4.0", _EMOJIONE),
    "emojione-v1": Design(
        "1.2.3",
        "emojione",
        "shaded",
        "CC-BY-SA-4.0",
        "EmojiOne, github.com/joypixels/emojione-legacy",
    ),
    "emojione-monotone": Design(
        "1.2.1", "emojione", "silhouette", "CC-BY-4.0", _EMOJIONE
    ),
    "fxemoji": Design(
        "1.2.2", "fxemoji", "flat", "Apache-2.0", "Mozilla, github.com/mozilla/fxemoji"
    ),
}


def is_held_out(name: str) -> bool:
    """Returns whether a name is held out: nothing that is compared learned it.

    The first eight hexadecimal digits of the SHA-256 of the name, in lower case with
    hyphens, are a multiple of 4.

    >>> is_held_out("cat"), is_held_out("guitar")
    (False, True)
    """
    digest = sha256(_hyphened(name).encode()).hexdigest()
    return int(digest[:8], 16) % 4 == 0


def has_learned_relative(name: str, names: Collection[str]) -> bool:
    """Returns whether all words of a name stand in a learned name, or the reverse.

    `black-cat` and `cat` are such relatives, and so are `hot-dog` and `dog`.

    Args:
      name: A name that is held out.
      names: All names; those that are held out do not count.
    """
    own = set(_hyphened(name).split("-"))
    others = (set(_hyphened(n).split("-")) for n in names if not is_held_out(n))
    return any(own <= other or other <= own for other in others)


# Parts of the names, for `config.data.classes` and `evaluate --data PART=DIR`.
LEARNED, HELD_OUT, UNRELATED = "learned", "held_out", "held_out_unrelated"
PARTS = (LEARNED, HELD_OUT, UNRELATED)


def names_of(part: str, names: Collection[str]) -> tuple[str, ...]:
    """Returns the names of one of `PARTS`, in the order of `names`."""
    if part == LEARNED:
        return tuple(name for name in names if not is_held_out(name))
    held_out = tuple(name for name in names if is_held_out(name))
    if part == HELD_OUT:
        return held_out
    return tuple(name for name in held_out if not has_learned_relative(name, names))


def are_independent(one: str, other: str) -> bool:
    """Returns whether two designs are of different drawers.

    >>> are_independent("noto", "twemoji"), are_independent("noto", "noto-v1")
    (True, False)
    """
    of = {plain(name): design.drawer for name, design in DESIGNS.items()}
    return of[plain(one)] != of[plain(other)]


def choose(designs: Mapping[str, IconSet]) -> dict[str, dict[str, str]]:
    """Returns which drawing of each design is which name's: `{name: {design: icon}}`.

    A design draws a name where an icon is called that, where an alias that neither
    turns nor mirrors leads from it to an icon, or where an icon is called that without
    hyphens (all of fxemoji's are). Names that at least `LEAST_DESIGNS` draw are taken
    in the order of how many designs spell an icon so, then of how many draw it, then of
    the alphabet. A name that claims a drawing of a name before it is its synonym, and
    is dropped: `bear-face`, after `bear`. Then those go that `_LEFT_OUT` names.
    """
    spelled = sorted(set().union(*(icons.names for icons in designs.values())))
    found = {}
    for name in spelled:
        drawn = {d: icons.find(name) for d, icons in designs.items()}
        drawn = {design: icon for design, icon in drawn.items() if icon}
        if len(drawn) >= min(LEAST_DESIGNS, len(designs)):
            found[name] = drawn

    def rank(name):
        n_own = sum(icon == name for icon in found[name].values())
        return -n_own, -len(found[name]), name

    chosen, claimed = {}, set()
    for name in sorted(found, key=rank):
        if claimed.isdisjoint(found[name].items()):
            claimed |= set(found[name].items())
            chosen[name] = found[name]
    return {n: chosen[n] for n in sorted(chosen) if not _LEFT_OUT.search(n)}


def _hyphened(name: str) -> str:
    return name.lower().replace("_", "-")
