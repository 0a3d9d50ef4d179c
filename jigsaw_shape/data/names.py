"""Names of data sets, domains and classes: how they are compared, and lists of them."""

import functools
import re
import unicodedata

from jigsaw_shape.system.command_line import printable

# Signs that tell names apart, such as C++ from C#, and stand for a name by themselves.
_SPOKEN = {"+": "plus", "#": "sharp", "&": "and", "%": "percent", "*": "star"}


@functools.cache
def plain(name: str) -> str:
    """Returns the name that a folder goes by: `"Real World"` -> `real_world`.

    Lower case, with an underscore for whatever separates words. Letters keep accents
    and vowel signs, in Unicode's composed form (NFC), in whichever form a file system
    has them. `+` and `#` at the end of a word are spelled out (`C++` -> `c_plus_plus`),
    and so are the signs of a name without letters, by their Unicode names or numbers.
    So only an empty name gives an empty one.
    """
    return words(re.sub(r"(?<=\w)[+#]+(?!\w)", _spell, name)) or "_".join(
        _sign_name(sign)
        for sign in name
        if unicodedata.category(sign)[0] != "M" and sign != "\N{ZERO WIDTH JOINER}"
    )


def words(name: str) -> str:
    """Returns a name's letters and digits as `plain` does; empty where it has none."""
    lower = unicodedata.normalize("NFC", printable(name).lower())
    marks = "".join(c for c in lower if unicodedata.category(c).startswith("M"))
    return "_".join(re.findall(rf"\w[\w{marks}]*", lower)).strip("_")


def squashed(name: str) -> str:
    """Returns what two spellings of one name share: `plain` without underscores."""
    return plain(name).replace("_", "")


def _spell(signs: re.Match) -> str:
    return "".join(f"_{_SPOKEN[sign]}" for sign in signs[0])


def _sign_name(sign: str) -> str:
    name = _SPOKEN.get(sign) or unicodedata.name(sign, f"u{ord(sign):04x}")
    return words(name)


def listed(text: str) -> tuple[str, ...]:
    """Returns the names in a field such as `"photo,cartoon"`; () for `""`."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
