"""The export formats by name, as in `--format`."""

from jigsaw_shape.exporting import (
    onnx_file,
    orbax_folder,
    safetensors_file,
    stablehlo_file,
)
from jigsaw_shape.exporting.format import Format

FORMATS: dict[str, Format] = {
    "safetensors": safetensors_file.FORMAT,
    "onnx": onnx_file.FORMAT,
    "stablehlo": stablehlo_file.FORMAT,
    "orbax": orbax_folder.FORMAT,
}
