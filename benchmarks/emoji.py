r"""The benchmark emoji: features of its held-out names, and its table (docs/flat.md).

    python benchmarks/emoji.py features DIR OUT pretrained:efficientnet_lite0@96 RUN
    python benchmarks/emoji.py table DIR OUT
    python benchmarks/emoji.py picture DIR PNG OUT/efficientnet_lite0-96.npz ...
    python -m jigsaw_shape.evaluate --suite retrieval --data held_out=DIR --out EVAL \
        --predictions OUT/pixels.npz --predictions OUT/hog.npz ...

`features` writes a file each of the named models, at @PX where that is given, and of
two that need no network: pixels, 32 px in RGB less their mean, and histograms of
oriented gradients (Dalal & Triggs, CVPR 2005, by scikit-image: 96 px in grey, cells of
12 px, blocks of 2 x 2, 9 orientations); and of each model joined with these histograms,
both of length 1. DIR are the drawings of `prepare emoji`.
`table` prints recall at 1 and at 5 and mAP by the design of the queries, means over the
pairs of designs that are of different drawers, for all names that are held out and for
those without a relative among the learned. `evaluate` draws the pairs.
`picture` draws queries of the three designs that are not learned, two each, as the
first digits of their SHA-256 choose them, and what each file finds in the designs of
other drawers: the ten nearest, "=" where it is the thing that was looked for.
"""

import hashlib
import pathlib
import sys
import time

import numpy as np
from skimage.color import rgb2gray
from skimage.feature import hog

import jigsaw_shape
from jigsaw_shape.data import domain_folders, emoji, known_sets
from jigsaw_shape.measures import retrieval
from jigsaw_shape.reports import contact_sheet, figures

N_QUERIES, N_FOUND = 2, 10  # of each design, and of each query
TARGETS = ("openmoji", "fluent_emoji_high_contrast", "emojione_monotone")


def write_features(drawings: pathlib.Path, out: pathlib.Path, models) -> None:
    """Writes a file each, as `evaluate --predictions` reads it."""
    stimuli, _ = domain_folders.read_folder(drawings)
    kept = emoji.names_of(emoji.HELD_OUT, stimuli.categories)
    stimuli = stimuli.subset(np.flatnonzero(np.isin(stimuli.category, kept)))
    out.mkdir(parents=True, exist_ok=True)

    def write(name, features):
        features = np.asarray(features, np.float32)
        np.savez(
            out / f"{name}.npz", images=np.array(stimuli.images), features=features
        )

    n = len(stimuli.images)
    small = np.stack([stimuli.read(i, 32) for i in range(n)]).reshape(n, -1) / 255
    write("pixels", small - small.mean(axis=1, keepdims=True))
    cells = {"pixels_per_cell": (12, 12), "cells_per_block": (2, 2), "orientations": 9}
    shapes = [hog(rgb2gray(stimuli.read(i, 96)), **cells) for i in range(n)]
    write("hog", shapes)
    for named in models:
        what, _, px = named.partition("@")
        model = jigsaw_shape.load(what, size_px=int(px or 0))
        start = time.perf_counter()
        name = pathlib.Path(what.partition(":")[2] or what).name
        found = model.features(list(stimuli.paths))
        write(f"{name}-{model.size_px}", found)
        both = [retrieval.unit(shapes), retrieval.unit(found)]
        write(f"hog+{name}-{model.size_px}", np.concatenate(both, axis=1))
        print(f"{named}: {n} images in {time.perf_counter() - start:.0f} s")


def print_table(drawings: pathlib.Path, out: pathlib.Path) -> None:
    """Prints the means of all files of features in a folder as tables in Markdown."""
    files = sorted(out.glob("*.npz"))
    names = sorted({path.name for path in drawings.glob("*/*")})
    for part in (emoji.HELD_OUT, emoji.UNRELATED):
        kept = emoji.names_of(part, names)
        print(f"\n| {part}, {len(kept)} names | {' | '.join(_QUERIES)} |")
        print(f"| --- {'| --- ' * len(_QUERIES)}|")
        for path in files:
            with np.load(path) as file:
                found = _between(file["images"], file["features"], kept)
            print(f"| {path.stem} | {' | '.join(map(found, _QUERIES.values()))} |")


def draw_queries(drawings: pathlib.Path, png: pathlib.Path, files) -> None:
    """Draws what files of features find; the same queries for all of them."""
    stimuli, _ = domain_folders.read_folder(drawings)
    places = dict(zip(stimuli.images, stimuli.paths, strict=True))
    read = {}
    for path in files:
        with np.load(path) as file:
            read[path.stem] = file["images"], retrieval.unit(file["features"])
    rows = []
    for query in _chosen(next(iter(read.values()))[0]):
        design, name = query.split("/")[:2]
        for label, (images, features) in read.items():
            cosines = features @ features[list(images).index(query)]
            others = [
                images[i]
                for i in np.argsort(-cosines, kind="stable")
                if emoji.are_independent(design, images[i].split("/")[0])
            ][:N_FOUND]
            titles = [name, *(_title(image, name) for image in others)]
            shown = [places[image] for image in (query, *others)]
            rows.append(contact_sheet.Row(label, shown, titles))
    figures.save(contact_sheet.draw(rows, "white"), png)


def _chosen(images) -> list[str]:
    """Returns the queries: of each design those whose digests come first."""
    ordered = sorted(images, key=lambda i: hashlib.sha256(i.encode()).digest())
    parts = [[i for i in ordered if i.split("/")[0] == t][:N_QUERIES] for t in TARGETS]
    return [image for part in parts for image in part]


def _title(image: str, wanted: str) -> str:
    design, name = image.split("/")[:2]
    return f"= {design}" if name == wanted else name


_LEARNED = [d for d in known_sets.EMOJI.domains if d not in TARGETS]
_QUERIES = {"learned designs": _LEARNED, **{t: [t] for t in TARGETS}, "unseen": TARGETS}


def _between(images, features, names):
    """Returns what says recall at 1 / at 5 / mAP of the queries of some designs."""
    domains, classes = np.array([image.split("/")[:2] for image in images]).T
    kept = np.isin(classes, names)
    designs, of = np.unique(domains[kept], return_inverse=True)
    _, labels = np.unique(classes[kept], return_inverse=True)
    found = retrieval.between(features[kept], labels, of, list(designs))

    def say(queries):
        pairs = [
            one
            for (query, searched), one in found.items()
            if query in queries and emoji.are_independent(query, searched)
        ]
        means = (
            np.mean([one.precision[1] for one in pairs]),
            np.mean([5 * one.precision[5] for one in pairs]),  # one is right of each
            np.mean([one.map for one in pairs]),
        )
        return " / ".join(f"{100 * mean:.1f}" for mean in means)

    return say


if __name__ == "__main__":
    if sys.argv[1] == "features":
        drawings, out, *models = sys.argv[2:]
        write_features(pathlib.Path(drawings), pathlib.Path(out), models)
    elif sys.argv[1] == "picture":
        drawings, png, *files = map(pathlib.Path, sys.argv[2:])
        draw_queries(drawings, png, files)
    else:
        print_table(*map(pathlib.Path, sys.argv[2:]))
