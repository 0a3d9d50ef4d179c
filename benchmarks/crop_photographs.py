r"""Cuts many small photographs out of a few large ones, for distillation.

    python benchmarks/crop_photographs.py OUT PHOTOGRAPH...

What a network knows of photographs shows in its answers to crops of a few of them
(Asano & Saeed, The Augmented Image Prior, ICLR 2023). Each photograph is reduced to a
shorter side of 1,024 px; in turn each gives a square of 15 to 100 % of that side, the
logarithm uniform, at a random place. Crops with hardly any contrast are left out.
"""

import argparse
import math
import pathlib

import numpy as np
from PIL import Image

SHORTER_PX = 1024
LEAST_SHARE = 0.15
LEAST_CONTRAST = 12  # standard deviation of the grey values, of 0 to 255


def reduced(path: pathlib.Path) -> Image.Image:
    """Returns a photograph whose shorter side has `SHORTER_PX`."""
    image = Image.open(path).convert("RGB")
    scale = SHORTER_PX / min(image.size)
    size = tuple(round(side * scale) for side in image.size)
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2)


def main() -> None:
    """Writes OUT/NUMBER.jpg."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("photographs", type=pathlib.Path, nargs="+")
    parser.add_argument("--crops", type=int, default=1500)
    parser.add_argument("--size", type=int, default=128, help="their side, in pixels")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(arguments.seed)
    images = [reduced(path) for path in arguments.photographs]
    kept = 0
    for i in range(arguments.crops):
        image = images[i % len(images)]
        side = int(SHORTER_PX * math.exp(rng.uniform(math.log(LEAST_SHARE), 0)))
        left = int(rng.integers(0, image.width - side + 1))
        top = int(rng.integers(0, image.height - side + 1))
        crop = image.crop((left, top, left + side, top + side))
        crop = crop.resize((arguments.size,) * 2, Image.Resampling.LANCZOS)
        if np.asarray(crop.convert("L")).std() >= LEAST_CONTRAST:
            crop.save(arguments.out / f"{i:05d}.jpg", quality=92)
            kept += 1
    print(f"{arguments.out}: {kept} crops of {len(images)} photographs")


if __name__ == "__main__":
    main()
