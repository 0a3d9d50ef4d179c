r"""Packs an export's encoder, in half precision, as one that this package ships.

    python -m jigsaw_shape.export --model RUN --format safetensors --out EXPORTED
    python benchmarks/pack_encoder.py EXPORTED flat --size 96

The class head stays behind. `--size` is the side of the squares that it sees unless
`--size` of a command says another.
"""

import argparse
import json
import pathlib

import numpy as np
from safetensors.numpy import save_file

import jigsaw_shape
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.weights.renames import from_foreign
from jigsaw_shape.models.weights.weight_files import read_weight_file


def main() -> None:
    """Writes `assets/encoders/NAME.safetensors`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("exported", type=pathlib.Path)
    parser.add_argument("name")
    parser.add_argument("--size", type=int, required=True, metavar="PX")
    args = parser.parse_args()
    file = read_weight_file(args.exported / "model.safetensors")
    renamed = from_foreign(ENCODERS[file.facts["encoder"]].family, file.arrays)
    of_encoder = {renamed.names[path] for path in renamed.arrays}
    arrays = {
        name: np.ascontiguousarray(array, np.float16)
        for name, array in file.arrays.items()
        if name in of_encoder
    }
    facts = {**file.facts, "image_size": args.size, "input_px": args.size}
    facts["classes"] = []
    metadata = {key: json.dumps(value) for key, value in sorted(facts.items())}
    out = pathlib.Path(jigsaw_shape.__file__).parent / "assets/encoders"
    out.mkdir(exist_ok=True)
    out /= f"{args.name}.safetensors"
    save_file(arrays, out, metadata)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
