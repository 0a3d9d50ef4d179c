r"""Packs 400 names of the data set emoji into the package's data set emoji_small.

    npm pack @iconify-json/noto@1.2.9 ...      (as `prepare emoji` says them)
    python benchmarks/pack_emoji.py PACKAGES

Of the names that all seven designs draw it takes the 400 whose SHA-256 come first.
"""

import csv
import hashlib
import io
import pathlib
import sys

from PIL import Image

from jigsaw_shape.data import emoji, emoji_drawings, icon_packages
from jigsaw_shape.data.embedded import emoji_small
from jigsaw_shape.data.names import plain

N_NAMES = 400


def main(packages: pathlib.Path) -> None:
    """Writes the sheets, the names and whose they are."""
    out, side = emoji_small.folder(), emoji_small.SIZE_PX
    found = icon_packages.find(packages, emoji.DESIGNS)
    designs = emoji_drawings.choose_versions(found, packages, strict=True)
    drawn = emoji.choose(designs)
    shared = [n for n, of in drawn.items() if of.keys() >= set(emoji_small.DESIGNS)]
    first = sorted(shared, key=lambda n: hashlib.sha256(n.encode()).hexdigest())
    names = sorted(first[:N_NAMES])
    (out / emoji_small.NAMES_FILE).write_text("\n".join(names) + "\n")
    render = emoji_drawings.renderer(side)
    with (out / "SOURCES.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", "author", "licence", "source"))
        for design in emoji_small.DESIGNS:
            n_rows = -(-len(names) // emoji_small.COLUMNS)
            sheet = Image.new("RGB", (emoji_small.COLUMNS * side, n_rows * side))
            for i, name in enumerate(names):
                row, column = divmod(i, emoji_small.COLUMNS)
                data = render(designs[design].svg(drawn[name][design]))
                sheet.paste(Image.open(io.BytesIO(data)), (column * side, row * side))
            path = out / f"{plain(design)}.webp"
            sheet.save(path, lossless=True, quality=100, method=6)
            facts = emoji.DESIGNS[design]
            source = f"@iconify-json/{design} {facts.version}"
            table.writerow((path.name, facts.author, facts.licence, source))
            print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
