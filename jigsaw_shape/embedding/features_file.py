"""Features in files: `.npz`, or Parquet, which other programs and databases read.

Either has a row an image: `path`, `norm`, the length of the vector, and `vector`,
float32 [F], as the encoder gave it; and `facts` of the encoder, as JSON.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow
from pyarrow import parquet

from jigsaw_shape.system import whole_files

SUFFIXES = (".npz", ".parquet")
_FACTS = "facts"


class Features(NamedTuple):
    """What a file holds.

    Attributes:
      paths: N of them.
      vectors: float32 [N, F].
      facts: Of the encoder, in JSON's types.
    """

    paths: list[str]
    vectors: np.ndarray
    facts: dict[str, Any]


def check(path: Path) -> None:
    """Refuses names of other formats.

    Raises:
      ValueError: Says which there are.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"--out is {path}: a name that ends in {' or '.join(SUFFIXES)}"
        )


def is_one(path: Path) -> bool:
    """Returns whether a file is Parquet, or an npz with paths and vectors."""
    if path.suffix == ".parquet":
        return True
    try:
        with np.load(path) as file:
            return {"path", "vector"} <= set(file)
    except (OSError, ValueError, AttributeError, TypeError, zipfile.BadZipFile):
        return False  # of another kind


def write(
    path: Path, paths: Sequence[str], vectors: np.ndarray, facts: Mapping[str, Any]
) -> None:
    """Writes features, whole or not at all.

    Args:
      path: The file, whose suffix names the format; replaced if it is there.
      paths: N of them.
      vectors: float32 [N, F].
      facts: Of the encoder, in JSON's types.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    vectors = np.ascontiguousarray(vectors, np.float32)
    norms = np.linalg.norm(vectors, axis=1).astype(np.float32)
    text = json.dumps(facts)
    if path.suffix == ".npz":
        arrays = {"path": np.asarray(paths), "norm": norms, "vector": vectors}
        with whole_files.replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, **arrays, facts=text)
    else:
        flat = pyarrow.array(vectors.ravel())
        table = pyarrow.table(
            {
                # A name's bytes that are no text have no place in Parquet's strings.
                "path": [p.encode(errors="backslashreplace").decode() for p in paths],
                "norm": norms,
                "vector": pyarrow.FixedSizeListArray.from_arrays(
                    flat, vectors.shape[1]
                ),
            }
        )
        with whole_files.replacing(path) as partial:
            parquet.write_table(table.replace_schema_metadata({_FACTS: text}), partial)


def read(path: Path) -> Features:
    """Returns what `write` wrote.

    >>> found = read(Path("features.npz"))
    >>> found.paths[0], found.vectors.shape
    ('photos/1.png', (4, 256))

    Raises:
      ValueError: The file is damaged, or not one of `write`.
      OSError: It cannot be read.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                paths, vectors = file["path"].tolist(), file["vector"]
                facts = json.loads(str(file["facts"]))
        else:
            table = parquet.read_table(path)
            column = table["vector"].combine_chunks()
            paths = table["path"].to_pylist()
            vectors = column.flatten().to_numpy().reshape(len(paths), -1)
            facts = json.loads(table.schema.metadata[_FACTS.encode()])
    except FileNotFoundError:
        raise
    except (
        *(KeyError, TypeError, ValueError, EOFError, AttributeError),
        *(zipfile.BadZipFile, pyarrow.ArrowException),
    ) as error:
        raise ValueError(f"{path} is no file of features: {error}") from error
    return Features(paths, vectors, facts)
