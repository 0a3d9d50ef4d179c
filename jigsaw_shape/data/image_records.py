"""How a folder of images is stored: TFDS records, a split a domain, as they are.

What is known of each image, all but its pixels, is in TFDS's `metadata.json` beside the
records, in their order, so that opening a data set decodes nothing.
"""

import contextlib
import dataclasses
import io
import os
import pathlib
from collections.abc import Iterator

import tensorflow_datasets as tfds
from absl import logging

from jigsaw_shape.data.inspection import Findings
from jigsaw_shape.data.names import printable
from jigsaw_shape.data.surveys import Image, Survey
from jigsaw_shape.system import addresses
from jigsaw_shape.system.command_line import track

_BUILDER = "domain_folders"
_VERSION = "1.0.0"


@dataclasses.dataclass(eq=False)
class FolderConfig(tfds.core.BuilderConfig):
    """What is to be stored.

    Attributes:
      survey: Of the folder, archive or table.
      findings: Of looking at every image.
      root: Where the files are.
      data_version: Tells contents of one name apart, `Dataset.version`.
    """

    survey: Survey | None = None
    findings: Findings | None = None
    root: pathlib.Path | None = None
    data_version: str = ""

    def images(self) -> dict[str, list[Image]]:
        """Returns the images of each domain that has any, in the records' order."""
        kept = [i for i in self.survey.images if i.path not in self.findings.faults]
        found = {d: [i for i in kept if i.domain == d] for d in self.survey.domains}
        return {domain: images for domain, images in found.items() if images}

    def metadata(self) -> dict:
        """Returns where the data set is from, and what is known of each image."""
        survey, findings, images = self.survey, self.findings, self.images()
        skipped = [
            f"{printable(path)}: {fault}" for path, fault in findings.faults.items()
        ]
        return {
            "name": self.name,
            "spec": survey.spec.name,
            "source": printable(str(survey.source)),
            "fingerprint": survey.fingerprint(),
            "version": self.data_version,
            "content": findings.content,
            "incomplete": survey.problems,
            "warnings": survey.warnings,
            "skipped": skipped,
            "copies": findings.copies,
            "transparent": findings.transparent,
            "classes": survey.classes,
            "domains": list(images),
            "labels": {d: [i.label for i in v] for d, v in images.items()},
            "names": {d: [i.name for i in v] for d, v in images.items()},
            "official": {d: [i.official for i in v] for d, v in images.items()},
            "mtimes_ns": {i.name: i.mtime_ns for v in images.values() for i in v},
        }


class DomainFolders(tfds.core.GeneratorBasedBuilder):
    """Images by domain and class; each data set is a configuration of this builder."""

    VERSION = tfds.core.Version(_VERSION)

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(names=list(config.survey.classes)),
                "name": tfds.features.Text(),
                "official": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self,
            features=features,
            metadata=tfds.core.MetadataDict(config.metadata()),
            disable_shuffling=True,  # the records stay in the order of the metadata
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        domains = self.builder_config.images()
        return {domain: self._generate_examples(domain) for domain in domains}

    def _generate_examples(self, domain):
        config = self.builder_config
        images = config.images()[domain]
        for image in track(images, f"storing {config.name}: {domain}"):
            record = {
                "image": (config.root / image.path).read_bytes(),
                "label": image.label,
                "name": image.name,
                "official": image.official,
            }
            yield image.name, record


def folder_of(name: str, data_dir: str | os.PathLike) -> pathlib.Path:
    """Returns where the data set of this name is, or would be, stored.

    Of one in a bucket this is the copy (`system.buckets`).
    """
    return data_home(data_dir) / _BUILDER / name / _VERSION


def data_home(data_dir: str | os.PathLike = "") -> pathlib.Path:
    """Returns where data sets are stored; `""`: TFDS's usual folder."""
    data_dir = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return addresses.copy_of(str(data_dir)).expanduser().absolute()


def write(config: FolderConfig, folder: pathlib.Path) -> None:
    """Writes the records to `folder` (`folder_of`), where nothing is yet."""
    with _quiet():
        builder = DomainFolders(
            config=config, data_dir=folder.parents[2], file_format="array_record"
        )
        builder.download_and_prepare()


def open_sources(builder: tfds.core.DatasetBuilder) -> list:
    """Returns the records of each domain, with images as they are in their files."""
    encoded = {"image": tfds.decode.SkipDecoding()}
    domains = builder.info.metadata["domains"]
    return [builder.as_data_source(split=d, decoders=encoded) for d in domains]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences what TFDS prints, whose progress bars would overlap with ours."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(verbosity)
