"""How start-up, memory and reading grow with the size of a data set.

    python benchmarks/data_size.py --sizes 1000 10000 100000 --out DIR

Draws so many JPEG images of 64 px (4 domains, 5 classes), prepares them, opens them as
a run does, and reads an epoch's first batches: streamed from the prepared files
(`data.cache=none`) and from host memory. Each line is a process of its own; memory is
its peak. DIR keeps the images and the prepared sets for the next time.
"""

import argparse
import io
import json
import pathlib
import resource
import shutil
import subprocess
import sys
import time

import numpy as np
from PIL import Image

from jigsaw_shape import config as config_lib
from jigsaw_shape.data import prepared_folders, sources
from jigsaw_shape.data.image_store import ImageStore, epoch_order

PX, STORED_PX, BATCH, N_BATCHES = 64, 64, 128, 40


def draw(folder: pathlib.Path, n: int) -> None:
    """Writes n images `{domain}/{class}/{i}.jpg`, no two alike."""
    rng = np.random.default_rng(0)
    for i in range(n):
        place = folder / f"domain{i % 4}" / f"class{i // 4 % 5}"
        if i < 20:
            place.mkdir(parents=True)
        few = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        file = io.BytesIO()
        few.resize((PX, PX), Image.Resampling.BICUBIC).save(file, "JPEG")
        (place / f"{i}.jpg").write_bytes(file.getvalue())


def config(home: pathlib.Path, n: int):
    """Returns the data fields of a run on the set of n images."""
    data = config_lib.default_config().data
    data.name, data.target = f"drawn{n}", "domain3"
    data.data_dir, data.stored_px = str(home / "prepared"), STORED_PX
    return data


def prepare(home: pathlib.Path, n: int) -> dict[str, float]:
    """Draws and prepares a set."""
    folder = home / f"drawn{n}"
    if not folder.is_dir():
        unfinished = home / f"unfinished{n}"
        shutil.rmtree(unfinished, ignore_errors=True)
        draw(unfinished, n)
        unfinished.rename(folder)
    began = time.perf_counter()
    data = config(home, n)
    prepared_folders.prepare(
        data.name, source_dir=str(folder), data_dir=data.data_dir, overwrite=True
    )
    return {"seconds": time.perf_counter() - began}


def read(home: pathlib.Path, n: int, cache: str) -> dict[str, float]:
    """Opens a set and reads batches of it."""
    began = time.perf_counter()
    dataset = sources.load_dataset(config(home, n))
    opened = time.perf_counter()
    store = ImageStore(dataset, cache=cache, stored_px=STORED_PX)
    order = epoch_order(
        dataset.domain, np.arange(n), seed=0, epoch=0, sampling="proportional"
    )
    kept = time.perf_counter()
    size = min(BATCH, n // 2)
    chunks = [
        order[i * size : (i + 1) * size] for i in range(min(N_BATCHES, n // size))
    ]
    n_read = sum(len(batch["label"]) for batch in store.batches(chunks))
    seconds = time.perf_counter() - kept
    return {"open": opened - began, "keep": kept - opened, "rate": n_read / seconds}


def main() -> None:
    """Prints one line for each size and way of reading."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--one", nargs=2, metavar=("N", "HOW"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        n, how = int(arguments.one[0]), arguments.one[1]
        found = (
            prepare(arguments.out, n)
            if how == "prepare"
            else read(arguments.out, n, how)
        )
        found["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    print("images   how       open s  keep s  images/s  peak MiB", flush=True)
    for n in arguments.sizes:
        for how in ("prepare", "none", "host"):
            command = [sys.executable, __file__, "--out", str(arguments.out)]
            printed = subprocess.run(
                [*command, "--one", str(n), how],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
            found = json.loads(printed.splitlines()[-1])
            if how == "prepare":
                figures = (
                    f"{found['seconds']:6.1f}  {'':6}  {n / found['seconds']:8.0f}"
                )
            else:
                figures = f"{found['open']:6.2f}  {found['keep']:6.2f}  "
                figures += f"{found['rate']:8.0f}"
            print(f"{n:7d}  {how:8s}  {figures}  {found['mib']:8.0f}", flush=True)


if __name__ == "__main__":
    main()
