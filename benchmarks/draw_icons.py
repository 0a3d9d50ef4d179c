r"""Draws icons of npm packages, for training without labels (docs/flat.md).

    npm pack @iconify-json/bi@1.2.7 ...
    python benchmarks/draw_icons.py PACKAGES OUT bi carbon game-icons

Of each set it takes the icons whose SHA-256 come first, `--most` at most. An icon is
left out where a run of words in its name, such as `guitar` in `acoustic-guitar-solid`,
is held out by the rule of the data set emoji, whether or not that name is in it.
"""

import argparse
import itertools
import pathlib
from hashlib import sha256

from jigsaw_shape.data import emoji, emoji_drawings, icon_packages


def shows_held_out(name: str) -> bool:
    """Returns whether a run of words in a name is a name that is held out.

    >>> shows_held_out("acoustic-guitar-solid"), shows_held_out("cat")
    (True, False)
    """
    words = name.split("-")
    runs = itertools.combinations(range(len(words) + 1), 2)
    return any(emoji.is_held_out("-".join(words[i:j])) for i, j in runs)


def main() -> None:
    """Writes OUT/SET/NAME.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--most", type=int, default=1000, help="icons of a set")
    parser.add_argument("--size", type=int, default=112, help="their side, in pixels")
    arguments = parser.parse_args()
    found = icon_packages.find(arguments.packages, arguments.sets)
    render = emoji_drawings.renderer(arguments.size)
    for name in arguments.sets:
        if name not in found:
            raise SystemExit(f"{arguments.packages} has no package of {name}")
        icons = found[name][0]
        kept = [icon for icon in icons.icons if not shows_held_out(icon)]
        kept.sort(key=lambda icon: sha256(icon.encode()).hexdigest())
        folder = arguments.out / name
        folder.mkdir(parents=True, exist_ok=True)
        for icon in kept[: arguments.most]:
            (folder / f"{icon}.png").write_bytes(render(icons.svg(icon)))
        n_drawn = len(kept[: arguments.most])
        print(f"{name} {icons.version}: {n_drawn} of {len(icons.icons):,} icons")


if __name__ == "__main__":
    main()
