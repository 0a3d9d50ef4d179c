r"""Can the puzzle be solved, and does solving it help? One table of all variants.

    python benchmarks/puzzle.py --out runs/puzzle --seeds 0
    python benchmarks/puzzle.py --out runs/puzzle-pacs --config configs/pacs.py \
        --only erm puzzle styled_puzzle --config.data.target=cartoon

Each variant is a preset with some fields changed; flags that are not this script's go
to every run. Runs are trained one after the other; the same command goes on where it
was stopped, and ends with the table of what is finished. `--only` names variants,
`--table` trains nothing.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys

from jigsaw_shape.runs import rows

# Variant -> preset, and the fields that it changes.
_POSITIONS = {"jigsaw.answer": "positions"}
_APART = {"jigsaw.encode": "tiles", "jigsaw.orders_per_image": 8}
_TILES = {"diversify.p_shuffled": "(1.0,)", "diversify.per_tile": "(1.0,)"}
_FOURIER = {"diversify.name": "fourier", "diversify.p_shuffled": "(1.0,)"}
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    "erm": ("erm", {}),
    "fourier": ("fourier", {}),
    "style_only": ("style_only", {}),
    "shape": ("shape", {}),
    "jigen": ("jigen", {}),
    "jigen-spatial": ("jigen", {"jigsaw.head": "spatial"}),
    "puzzle-pooled": ("puzzle", {"jigsaw.head": "pooled"}),
    "puzzle": ("puzzle", {}),
    "puzzle-heavy": ("puzzle", {"losses.jigsaw": 1.0}),
    "puzzle-positions": ("puzzle", _POSITIONS),
    "puzzle-all": ("puzzle", {**_POSITIONS, "jigsaw.all_permutations": True}),
    "puzzle-apart": ("puzzle", _APART),
    "puzzle-apart-positions": ("puzzle", {**_APART, **_POSITIONS}),
    "puzzle-apart-100": ("puzzle", {**_APART, "jigsaw.n_permutations": 100}),
    "puzzle-apart-1000": ("puzzle", {**_APART, "jigsaw.n_permutations": 1000}),
    "puzzle-curriculum": (
        "puzzle",
        {"jigsaw.orders": "(0.1, 1.0)", "jigsaw.gap": "(0.0, 0.25)"},
    ),
    "puzzle-half": ("puzzle", {"jigsaw.bias_whole_image": 0.5}),
    "puzzle-100": ("puzzle", {"jigsaw.n_permutations": 100}),
    "puzzle-1000": ("puzzle", {"jigsaw.n_permutations": 1000}),
    "puzzle-4x4": ("puzzle", {"jigsaw.grid": 4, **_POSITIONS}),
    "puzzle-gap": ("puzzle", {"jigsaw.gap": "(0.25,)"}),
    "puzzle-normalized": ("puzzle", {"jigsaw.normalize_tiles": True}),
    "puzzle-grey": ("puzzle", {"augment.tile_grayscale": 1.0}),
    "puzzle-one-style": ("puzzle", _FOURIER),
    "puzzle-tile-styles": ("puzzle", {**_FOURIER, **_TILES}),
    "puzzle-mixed": (
        "puzzle",
        {**_TILES, "diversify.name": "fourier,edges", "diversify.mix_tiles": True},
    ),
    "styled_puzzle": ("styled_puzzle", {}),
    "styled_puzzle-apart": ("styled_puzzle", _APART),
    "jigen-adaptation": ("jigen", {"data.setting": "adaptation"}),
    "puzzle-adaptation": ("puzzle", {"data.setting": "adaptation"}),
    "selfsup": ("selfsup", {}),
    "selfsup-apart": ("selfsup", _APART),
}
_COLUMNS = {
    "solved": "puzzle/shuffled_accuracy",
    "tiles": "puzzle/placed_tiles",
    "target": "target/accuracy",
    "source val": "val/accuracy",
    "shape bias": "cue_conflict/shape_bias",
    "S/n": "cue_conflict/shape_accuracy",
    "T/n": "cue_conflict/texture_accuracy",
    "named when shuffled": "puzzle/shuffled_class_accuracy",
}


def command(
    config: str, variant: str, seed: int, workdir: pathlib.Path, extra: list[str]
) -> list:
    """Returns the command that trains one run."""
    preset, fields = VARIANTS[variant]
    return [
        *(sys.executable, "-m", "jigsaw_shape.train"),
        *("--config", f"{config}:{preset}", f"--workdir={workdir}"),
        f"--config.seed={seed}",
        *(f"--config.{name}={value}" for name, value in fields.items()),
        *extra,
    ]


def last_row(workdir: pathlib.Path) -> dict | None:
    """Returns the finished run's row of the rule `last`; None of an unfinished one."""
    results = [row for row in rows.read(workdir) if row["kind"] == "result"]
    return next((row for row in results if row["selection"] == "last"), None)


def main() -> None:
    """Trains what is not finished, one run at a time, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--config", default="configs/shapes.py")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--table", action="store_true", help="train nothing")
    arguments, extra = parser.parse_known_args()
    for seed in arguments.seeds:
        for variant in () if arguments.table else arguments.only:
            workdir = arguments.out / f"{variant}-s{seed}"
            if last_row(workdir) is None:
                subprocess.run(
                    command(arguments.config, variant, seed, workdir, extra), check=True
                )
    print("| variant | seeds | " + " | ".join(_COLUMNS) + " |")
    print("| --- " * (len(_COLUMNS) + 2) + "|")
    for variant in arguments.only:
        found = [last_row(arguments.out / f"{variant}-s{s}") for s in arguments.seeds]
        found = [row for row in found if row is not None]
        cells = [
            rows.percent(statistics.mean(row[name] for row in found))
            if found and all(name in row for row in found)
            else "-"
            for name in _COLUMNS.values()
        ]
        print(f"| {variant} | {len(found)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
