r"""The benchmark emoji: features of its held-out names, and its table (docs/flat.md).

    python benchmarks/emoji.py features DIR OUT pretrained:efficientnet_lite0@96 RUN
    python -m jigsaw_shape.evaluate --suite retrieval --data held_out=DIR --out EVAL \
        --predictions OUT/pixels.npz --predictions OUT/hog.npz ...
    python benchmarks/emoji.py table EVAL

`features` writes a file each of the named models, at @PX where that is given, and of
two that need no network: pixels, 32 px in RGB less their mean, and histograms of
oriented gradients (Dalal & Triggs, CVPR 2005, by scikit-image: 96 px in grey, cells of
12 px, blocks of 2 x 2, 9 orientations). DIR are the drawings of `prepare emoji`.
`table` prints recall at 1 and mAP by the kind of query, means over the pairs of designs
that are of different drawers.
"""

import json
import pathlib
import sys
import time

import numpy as np
from skimage.color import rgb2gray
from skimage.feature import hog

import jigsaw_shape
from jigsaw_shape.data import domain_folders, emoji

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
    write("hog", [hog(rgb2gray(stimuli.read(i, 96)), **cells) for i in range(n)])
    for named in models:
        what, _, px = named.partition("@")
        model = jigsaw_shape.load(what, size_px=int(px or 0))
        start = time.perf_counter()
        name = pathlib.Path(what.partition(":")[2] or what).name
        write(f"{name}-{model.size_px}", model.features(list(stimuli.paths)))
        print(f"{named}: {n} images in {time.perf_counter() - start:.0f} s")


def print_table(evaluation: pathlib.Path) -> None:
    """Prints the means of an evaluation's rows as a table in Markdown."""
    lines = (evaluation / "evaluation.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row.get("measure") == "retrieval"]
    rows = [
        row
        for row in rows
        if row["query"] != row["gallery"]
        and emoji.are_independent(row["query"], row["gallery"])
    ]
    queries = {"learned designs": lambda query: query not in TARGETS}
    for target in TARGETS:
        queries[target] = target.__eq__
    queries["unseen designs"] = lambda query: query in TARGETS
    print("| recall at 1 / mAP, % |", " | ".join(queries), "|")
    print("| --- |", " | ".join(["---"] * len(queries)), "|")
    for model in dict.fromkeys(row["model"] for row in rows):
        cells = []
        for is_one in queries.values():
            of = [r for r in rows if r["model"] == model and is_one(r["query"])]
            recall, precision = (
                100 * np.mean([row[key] for row in of])
                for key in ("precision_at_1", "map")
            )
            cells.append(f"{recall:.1f} / {precision:.1f}")
        print(f"| {model} |", " | ".join(cells), "|")


if __name__ == "__main__":
    if sys.argv[1] == "features":
        drawings, out, *models = sys.argv[2:]
        write_features(pathlib.Path(drawings), pathlib.Path(out), models)
    else:
        print_table(pathlib.Path(sys.argv[2]))
