"""What every data set is to the rest of the project: labelled images by index."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from absl import logging

from jigsaw_shape.data.names import plain, squashed


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Labelled images of several domains, addressed by index `0..N-1`.

    Attributes:
      name: For rows and messages, such as `"pacs"`.
      classes: Class names; a label is an index into them.
      domains: Domain names; `domain` holds indices into them.
      label: int32 [N].
      domain: int32 [N].
      read: `read(i)` decodes image `i`: uint8 [H, W, 3], RGB, in its stored size.
      official: str [N], the data set's own split where it has one: `"train"`,
        `"val"` or `""`. None where no image has one.
      texture: int32 [N], the class whose *texture* the image wears, -1 for none.
        None where the data set does not know. On cue-conflict images `label` is the
        shape and `texture` differs from it.
      names: A file name or other identifier for each image, for messages.
      version: What tells data of the same name apart, such as a digest of the files.
    """

    name: str
    classes: tuple[str, ...]
    domains: tuple[str, ...]
    label: np.ndarray
    domain: np.ndarray
    read: Callable[[int], np.ndarray]
    official: np.ndarray | None = None
    texture: np.ndarray | None = None
    names: tuple[str, ...] | None = None
    version: str = ""

    def __len__(self) -> int:
        return len(self.label)

    def digest(self) -> str:
        """Returns a digest of which images these are, by name, label and domain."""
        lines = zip(self.names or (), self.label, self.domain, strict=False)
        text = f"{self.name} {self.version} {self.classes} {self.domains} {len(self)}\n"
        text += "".join(f"{name} {label} {domain}\n" for name, label, domain in lines)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def domain_index(self, name: str) -> int:
        """Returns the index of domain `name`.

        Raises:
          ValueError: There is no such domain; the message lists those there are.
        """
        if name not in self.domains:
            raise ValueError(
                f"unknown domain {name!r}: {self.name} has {', '.join(self.domains)}"
            )
        return self.domains.index(name)


def with_classes(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Returns the images of some classes, whose labels are in the order of `names`.

    A class that the data set does not have keeps its label, and is logged.

    Args:
      dataset: All images.
      names: Of the classes, in any spelling; none: all of the data set's.

    Raises:
      ValueError: A name is twice there, or the data set has none of the classes.
    """
    if not names:
        return dataset
    keys = [squashed(name) for name in names]
    if len(set(keys)) < len(keys):
        raise ValueError(f"config.data.classes names a class twice: {', '.join(names)}")
    old = {squashed(name): label for label, name in enumerate(dataset.classes)}
    new_of = np.full(len(dataset.classes), -1, np.int32)
    for label, key in enumerate(keys):
        if key in old:
            new_of[old[key]] = label
    missing = [name for name, key in zip(names, keys, strict=True) if key not in old]
    if len(missing) == len(names):
        raise ValueError(
            f"config.data.classes is {', '.join(names)}: {dataset.name} has none of "
            f"them, but {', '.join(dataset.classes[:20])}"
        )
    if missing:
        logging.warning(
            "%s has no images of %s, which config.data.classes names",
            dataset.name,
            ", ".join(missing),
        )
    kept = new_of[dataset.label] >= 0
    if dataset.texture is not None:
        kept &= (dataset.texture < 0) | (new_of[dataset.texture] >= 0)
    indices = np.flatnonzero(kept)

    def of(array):
        return None if array is None else array[indices]

    texture = of(dataset.texture)
    return dataclasses.replace(
        dataset,
        classes=tuple(
            dataset.classes[old[key]] if key in old else plain(name)
            for name, key in zip(names, keys, strict=True)
        ),
        label=new_of[of(dataset.label)],
        domain=of(dataset.domain),
        read=lambda i: dataset.read(int(indices[i])),
        official=of(dataset.official),
        texture=None if texture is None else np.where(texture < 0, -1, new_of[texture]),
        names=dataset.names and tuple(dataset.names[i] for i in indices),
    )
