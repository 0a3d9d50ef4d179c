"""ImageNet-1k and its sketches and renditions, as TFDS prepared them.

ImageNet (Russakovsky et al., IJCV 2015) has one domain, photographs. What it can be
tested on as a domain never seen has the same classes: ImageNet-Sketch (Wang et al.,
NeurIPS 2019) and ImageNet-R (Hendrycks et al., ICCV 2021; 200 of the classes).
"""

import hashlib
import os
import pathlib
from collections.abc import Iterable

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from jigsaw_shape.data import image_records
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.system import buckets, whole_files
from jigsaw_shape.system.command_line import track

# Domain -> TFDS's name, and its splits by what they are for.
DOMAINS = {
    "photo": ("imagenet2012", {"train": "train", "validation": "val"}),
    "sketch": ("imagenet_sketch", {"test": ""}),
    "rendition": ("imagenet_r", {"test": ""}),
}
_CHUNK = 1024  # records a call, when labels are read


def load(
    domains: Iterable[str],
    *,
    data_dir: str | os.PathLike = "",
    stored_px: int = 256,
    background: str = "white",
) -> Dataset:
    """Returns the named domains; nothing is prepared or downloaded.

    The first time, every record is read once for its label; the labels are kept beside
    the records, in `jigsaw_shape_labels.npz`, if that folder may be written to.

    Args:
      domains: Keys of `DOMAINS`, in any order.
      data_dir: Where TFDS prepared them; empty: `$TFDS_DATA_DIR` or TFDS's default.
      stored_px: `read` returns the central square of an image at this side.
      background: What shows where an image is transparent, as `decode` takes it.

    Raises:
      ValueError: One of them is unknown, or not prepared as array_record files.
    """
    named = set(domains)
    if unknown := named - DOMAINS.keys():
        raise ValueError(
            f"imagenet has the domains {', '.join(DOMAINS)}, not "
            f"{', '.join(sorted(unknown))}"
        )
    chosen = tuple(domain for domain in DOMAINS if domain in named)
    sources, labels, official, of_domain, versions = [], [], [], [], []
    for d, domain in enumerate(chosen):
        name, splits = DOMAINS[domain]
        builder = _open(name, data_dir)
        versions.append(builder.info.full_name)
        for split, role in splits.items():
            source = builder.as_data_source(
                split=split, decoders={"image": tfds.decode.SkipDecoding()}
            )
            sources.append(source)
            labels.append(_labels(builder, split, source))
            official.append(np.full(len(source), role, "U5"))
            of_domain.append(np.full(len(source), d, np.int32))
    starts = np.cumsum([0] + [len(source) for source in sources])
    label = np.concatenate(labels)

    def read(i: int) -> np.ndarray:
        part = int(np.searchsorted(starts, i, "right")) - 1
        record = sources[part][int(i) - int(starts[part])]
        return _central_square(decode(record["image"], background), stored_px)

    versions.append(hashlib.sha256(label.tobytes()).hexdigest()[:16])
    return Dataset(
        name="imagenet",
        classes=tuple(builder.info.features["label"].names),
        domains=chosen,
        label=label,
        domain=np.concatenate(of_domain),
        read=read,
        official=np.concatenate(official),
        version=" ".join(versions),
    )


def _open(name: str, data_dir: str | os.PathLike) -> tfds.core.DatasetBuilder:
    home = image_records.data_home(data_dir)
    buckets.fetch(home / name)
    versions = sorted((home / name).glob("*/dataset_info.json"))
    if not versions:
        raise ValueError(
            f"{name} is not prepared in {home} (config.data.data_dir or "
            f"$TFDS_DATA_DIR). Where TensorFlow is installed, `tfds.builder('{name}', "
            "file_format='array_record').download_and_prepare()` prepares it; its page "
            "in TFDS's catalog says which files it needs"
        )
    builder = tfds.builder_from_directory(versions[-1].parent)
    kind = builder.info.file_format.value
    if kind != "array_record":
        raise ValueError(
            f"{versions[-1].parent} holds {kind} files: prepare {name} again with "
            "file_format='array_record', which needs no TensorFlow to be read"
        )
    return builder


def _labels(builder: tfds.core.DatasetBuilder, split: str, source) -> np.ndarray:
    """Returns the labels of a split's records, in their order: int32 [n]."""
    path = pathlib.Path(builder.data_path) / "jigsaw_shape_labels.npz"
    known = dict(np.load(path)) if path.exists() else {}
    if len(known.get(split, ())) != len(source):
        starts = range(0, len(source), _CHUNK)
        read = []
        for start in track(starts, f"reading labels: {split}"):
            chunk = range(start, min(start + _CHUNK, len(source)))
            read += [record["label"] for record in source.__getitems__(list(chunk))]
        known[split] = np.array(read, np.int32)
        if os.access(path.parent, os.W_OK):
            with (
                whole_files.replacing(path, several=True) as partial,
                partial.open("wb") as file,
            ):
                np.savez(file, **known)
    return known[split]


def _central_square(pixels: np.ndarray, size_px: int) -> np.ndarray:
    h, w, _ = pixels.shape
    side = min(h, w)
    left, top = (w - side) // 2, (h - side) // 2
    square = Image.fromarray(pixels[top : top + side, left : left + side])
    return np.asarray(square.resize((size_px, size_px), Image.Resampling.BILINEAR))
