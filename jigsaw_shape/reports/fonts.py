"""Fonts for the characters that a figure shows, in any script."""

import functools
import re

from matplotlib import font_manager, ft2font
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

# Fonts that draw placeholders for every character, or have an encoding of their own.
_NO_SCRIPT = re.compile(r"Last Resort|cm\w+\d|STIXNonUnicode|STIXSize")
_WORD = re.compile(r"[^\s:;,()→←%]+")

_numbers: dict[str, str] = {}


def fit(figure: Figure) -> None:
    """Gives every text of a figure fonts that have its characters.

    Matplotlib's own font lacks Chinese, Japanese, Korean and more: installed fonts
    stand in. A word with a character that no font has is drawn as a number, such as
    `#1` (see `note`). `$` in a name is no formula.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_locator(), FixedLocator):
                named = [label.get_text() for label in axis.get_ticklabels()]
                shown = [_drawable(name) for name in named]
                if shown != named:
                    axis.set_ticklabels(shown)
    for text in figure.findobj(Text):
        shown = _drawable(text.get_text())
        if shown != text.get_text():
            text.set_text(shown)
        if "$" in shown and "\\mathdefault" not in shown:  # as ticks of powers have
            text.set_parse_math(False)
        families = [_family(character) for character in dict.fromkeys(shown)]
        others = [family for family in families if family]
        if others:
            text.set_fontfamily(list(dict.fromkeys([*text.get_fontfamily(), *others])))


def note() -> str:
    """Returns which words figures show as numbers so far; "" for none."""
    if not _numbers:
        return ""
    words = ", ".join(f"{number} is {word}" for word, number in _numbers.items())
    return (
        f"no installed font can draw these names, so figures show numbers: {words}. "
        "A font such as Noto Sans CJK, once installed, is found"
    )


def _drawable(text: str) -> str:
    """Returns a text with a number for each word that no font can draw."""

    def shown(found):
        word = found[0]
        if all(_family(character) is not None for character in word):
            return word
        return _numbers.setdefault(word, f"#{len(_numbers) + 1}")

    return text if text.isascii() else _WORD.sub(shown, text)


@functools.cache
def _family(character: str) -> str | None:
    """Returns the font that has a character: "" for the usual one, None without any."""
    usual = font_manager.findfont(font_manager.FontProperties())
    if character.isspace() or ord(character) in _characters(usual):
        return ""
    for entry in font_manager.fontManager.ttflist:
        usable = entry.style == "normal" and not _NO_SCRIPT.match(entry.name)
        if usable and ord(character) in _characters(entry.fname):
            return entry.name
    return None


@functools.cache
def _characters(path: str) -> frozenset[int]:
    """Returns the characters of a font; none of one that has no outlines to draw."""
    try:
        font = ft2font.FT2Font(path)
        font.set_size(12, 72)
        return frozenset(font.get_charmap())
    except (OSError, RuntimeError):  # gone since, or emoji as bitmaps
        return frozenset()
