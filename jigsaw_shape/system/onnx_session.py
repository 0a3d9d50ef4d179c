"""ONNX files as onnxruntime opens them. Needs the extra `[onnx]`."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

# A key of the metadata, `true` where a program of floats normalizes them by itself.
NORMALIZES_INSIDE = "normalizes_inside"


def refuse_missing(flag: str, *packages: str) -> None:
    """Refuses `flag` where a package that it needs is not installed.

    Raises:
      ValueError: Names those that are missing, and the extra.
    """
    missing = [name for name in packages if not importlib.util.find_spec(name)]
    if missing:
        raise ValueError(
            f"{flag} needs {' and '.join(missing)}, not installed here: "
            "pip install 'jigsaw_shape[onnx]'"
        )


def open_session(path: Path, providers: Sequence[str] = ()):
    """Returns a file's `onnxruntime.InferenceSession`.

    Args:
      path: The file.
      providers: Of onnxruntime, what to run it on, the best first; none: all it has.

    Raises:
      ValueError: The file is no ONNX model that onnxruntime can load.
    """
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(
            path, providers=list(providers) or onnxruntime.get_available_providers()
        )
    except Exception as error:  # onnxruntime raises classes of its own
        message = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be loaded: {message}") from error
