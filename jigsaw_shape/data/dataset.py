"""What every data set is to the rest of the project: labelled images by index."""

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np


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
