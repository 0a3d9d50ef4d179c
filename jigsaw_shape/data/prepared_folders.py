"""Folders of images, `{domain}/{class}/*`, as TFDS data sets, without TensorFlow.

`prepare` checks every file and stores it, as it is, in array_record files under
`{data_dir}/domain_folders/{name}/{version}`, a split for each domain. `load` opens
that, and prepares it on first use. What is known of each image, all but its pixels,
is in TFDS's `metadata.json` beside the records, in their order, so that opening a data
set decodes nothing.
"""

import contextlib
import dataclasses
import errno
import io
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from jigsaw_shape.data import archives as files_lib
from jigsaw_shape.data import known_sets, layouts
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.decoding import DecodeError, decode, fault
from jigsaw_shape.data.names import plain
from jigsaw_shape.system.lock import lock

_BUILDER = "domain_folders"
_VERSION = "1.0.0"
_REPLACED = "incomplete.replaced"  # a prepared data set while another is written
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_N_THREADS = min(8, os.cpu_count() or 2)


@dataclasses.dataclass(eq=False)
class FolderConfig(tfds.core.BuilderConfig):
    """What is to be prepared.

    Attributes:
      survey: Of the folder or archive.
      root: Where its files are.
      images: Those of each domain, in the order in which they are stored.
    """

    survey: layouts.Survey | None = None
    root: pathlib.Path | None = None
    images: dict[str, list[layouts.Image]] = dataclasses.field(default_factory=dict)

    def metadata(self) -> dict:
        """Returns where the data set is from, and what is known of each image."""
        survey = self.survey
        return {
            "name": self.name,
            "spec": survey.spec.name,
            "source": str(survey.source),
            "fingerprint": survey.fingerprint(),
            "incomplete": survey.problems,
            "warnings": survey.warnings,
            "classes": survey.classes,
            "domains": survey.domains,
            "labels": {k: [i.label for i in v] for k, v in self.images.items()},
            "names": {k: [i.name for i in v] for k, v in self.images.items()},
            "official": {k: [i.official for i in v] for k, v in self.images.items()},
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
        domains = self.builder_config.survey.domains
        return {domain: self._generate_examples(domain) for domain in domains}

    def _generate_examples(self, domain):
        config = self.builder_config
        for image in _track(config.images[domain], f"storing {config.name}: {domain}"):
            record = {
                "image": (config.root / image.path).read_bytes(),
                "label": image.label,
                "name": image.name,
                "official": image.official,
            }
            yield image.name, record


def prepare(
    name: str,
    *,
    source_dir: str | os.PathLike = "",
    data_dir: str | os.PathLike = "",
    strict: bool = True,
    overwrite: bool = False,
    spec_name: str = "",
) -> tfds.core.DatasetBuilder:
    """Returns the prepared data set, checked and stored now if it was not before.

    A data set appears whole or not at all: a run that is killed leaves nothing that
    `load` would open, and the next one clears up. Of several that start at once, one
    prepares and the others wait for it.

    Args:
      name: A known data set, or any name for a folder of one's own.
      source_dir: A folder or a zip or tar archive of one. `""`: `$NAME_DIR`, then
        TFDS's folder for manual downloads, then the known set's mirrors.
      data_dir: `""`: `$TFDS_DATA_DIR` or `~/tensorflow_datasets`.
      strict: A known set must be complete; otherwise what is missing is recorded.
        Damaged files are refused either way.
      overwrite: Replace what is stored under this name.
      spec_name: The known set that it is a copy of, where `name` is another.

    Raises:
      ValueError: Nothing to prepare from, files that do not decode (all are named),
        images missing, or other data is stored under this name.
      OSError: A file cannot be read, or there is no room for what is written.
    """
    spec = known_sets.find_set(spec_name or name)
    name = plain(name) if spec_name else spec.name
    builder_dir = _builder_dir(name, data_dir)
    home = builder_dir.parent
    home.mkdir(parents=True, exist_ok=True)
    with lock(home / ".lock"):
        replaced = home / _REPLACED
        if replaced.exists() and not builder_dir.exists():
            replaced.rename(builder_dir)  # replacing it was interrupted
        for leftover in home.glob("incomplete.*"):
            shutil.rmtree(leftover)
        if builder_dir.exists() and not overwrite:
            return _open(builder_dir, source_dir)
        try:
            source = root = files_lib.find(
                name,
                source_dir=source_dir,
                manual=builder_dir.parents[2] / "downloads" / "manual",
                mirrors=spec.mirrors,
                fault_fn=lambda path: "; ".join(layouts.survey(spec, path).problems),
            )
        except ValueError as error:
            raise ValueError(f"{_advice(spec, name, builder_dir)} {error}") from error
        try:
            with _explaining_full_disk(name, home):
                if not source.is_dir():
                    root = home / "incomplete.extracted"
                    files_lib.extract(source, root)
                survey = layouts.survey(spec, source, extracted=root)
                _check_images(survey, root, strict=strict)
                _store(name, survey, root, builder_dir)
        finally:
            shutil.rmtree(home / "incomplete.extracted", ignore_errors=True)
    return tfds.builder_from_directory(builder_dir)


def load(
    name: str,
    *,
    source_dir: str | os.PathLike = "",
    data_dir: str | os.PathLike = "",
    stored_px: int = 227,
    background: str = "white",
    auto_prepare: bool = True,
) -> Dataset:
    """Returns a data set of folders, prepared on first use.

    What it lacks and what was passed over is logged, as it was when it was prepared.

    Args:
      name: As for `prepare`.
      source_dir: As for `prepare`. Where the data set is prepared already and this is
        given, the two must be the same.
      data_dir: As for `prepare`.
      stored_px: `read` returns squares of this side, squashed as `decode` says;
        0: images in their own sizes.
      background: What shows where an image is transparent, as `decode` takes it.
      auto_prepare: Prepare it where it is not prepared.

    Raises:
      ValueError: It is not prepared and cannot be, or was prepared from other data;
        the message says what to do.
    """
    spec = known_sets.find_set(name)
    name, builder_dir = spec.name, _builder_dir(spec.name, data_dir)
    if builder_dir.exists():
        builder = _open(builder_dir, source_dir)
    elif auto_prepare:
        builder = prepare(name, source_dir=source_dir, data_dir=data_dir)
    else:
        raise ValueError(_advice(spec, name, builder_dir))
    known = builder.info.metadata
    if known["incomplete"]:
        logging.warning("%s is incomplete: %s", name, "; ".join(known["incomplete"]))
    for note in known["warnings"]:
        logging.warning("%s: %s", name, note)
    domains = tuple(known["domains"])
    encoded = {"image": tfds.decode.SkipDecoding()}
    sources = [builder.as_data_source(split=d, decoders=encoded) for d in domains]
    starts = np.cumsum([0] + [len(known["labels"][d]) for d in domains])
    domain = np.repeat(np.arange(len(domains), dtype=np.int32), np.diff(starts))
    names = tuple(n for d in domains for n in known["names"][d])
    official = np.array([o for d in domains for o in known["official"][d]])

    def read(i: int) -> np.ndarray:
        d = domain[i]
        record = sources[d][int(i) - int(starts[d])]
        if record["name"].decode() != names[i]:
            raise ValueError(f"{builder_dir} is damaged at {names[i]}: prepare it anew")
        return decode(record["image"], background, size_px=stored_px)

    return Dataset(
        name=name,
        classes=tuple(known["classes"]),
        domains=domains,
        label=np.concatenate([known["labels"][d] for d in domains], dtype=np.int32),
        domain=domain,
        read=read,
        official=official if official.astype(bool).any() else None,
        names=names,
        version=known["fingerprint"],
    )


def _builder_dir(name: str, data_dir: str | os.PathLike) -> pathlib.Path:
    data_dir = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    home = pathlib.Path(data_dir).expanduser().absolute()
    return home / _BUILDER / name / _VERSION


def _advice(spec: known_sets.KnownSet, name: str, builder_dir: pathlib.Path) -> str:
    known = f" for the domains {', '.join(spec.domains)}" if spec.domains else ""
    origin = f" It comes from {spec.origin}." if spec.origin else ""
    return (
        f"{name} is not prepared in {builder_dir}. Run `python -m jigsaw_shape.prepare "
        f"{name} --from DIR`, or set config.data.source_dir or ${name.upper()}_DIR: "
        f"DIR holds {{domain}}/{{class}}/*{known}, or is a zip or tar archive of that."
        f"{origin}"
    )


def _open(builder_dir: pathlib.Path, source_dir) -> tfds.core.DatasetBuilder:
    """Returns what is prepared; refuses it where `source_dir` names other data."""
    builder = tfds.builder_from_directory(builder_dir)
    if not source_dir:
        return builder
    source = pathlib.Path(source_dir).expanduser()
    known = builder.info.metadata
    where = f"{known['name']} is prepared in {builder_dir} from {known['source']}"
    if not source.exists():
        raise ValueError(
            f"{source} does not exist. {where}: leave config.data.source_dir (--from) "
            "empty to use that"
        )
    survey = layouts.survey(known_sets.find_set(known["spec"]), source)
    if survey.fingerprint() != known["fingerprint"]:
        n_prepared = sum(map(len, known["names"].values()))
        raise ValueError(
            f"{where}, which differs from {source} ({n_prepared} and "
            f"{len(survey.images)} images, by name, size and official split). Leave "
            "config.data.source_dir empty to use what is prepared, or replace it with "
            f"`python -m jigsaw_shape.prepare {known['name']} --from {source} "
            "--overwrite`"
        )
    return builder


def _check_images(survey: layouts.Survey, root: pathlib.Path, *, strict: bool) -> None:
    """Refuses files that do not decode and, if strict, a data set with too few."""
    problems = list(survey.problems) if strict else []
    with ThreadPoolExecutor(_N_THREADS) as pool:
        faults = pool.map(lambda i: _fault(root / i.path), survey.images)
        label = f"checking {survey.spec.name}"
        faults = _track(faults, label, total=len(survey.images))
        problems += [
            f"{image.path}: {fault}"
            for image, fault in zip(survey.images, faults, strict=True)
            if fault
        ]
    if problems:
        hint = ", refused without --allow_partial" if strict and survey.problems else ""
        items = "".join(f"\n  {problem}" for problem in problems)
        raise ValueError(f"{survey.source} has {len(problems)} faults{hint}:{items}")


def _fault(path: pathlib.Path) -> str:
    """Returns why a file is not a whole image, `""` if it is."""
    try:
        decode(path)
    except (OSError, DecodeError) as error:
        return fault(error)
    return ""


def _store(
    name: str,
    survey: layouts.Survey,
    root: pathlib.Path,
    builder_dir: pathlib.Path,
) -> None:
    """Writes the records; what was there goes once the new ones are complete."""
    images = {d: [i for i in survey.images if i.domain == d] for d in survey.domains}
    config = FolderConfig(name=name, survey=survey, root=root, images=images)
    replaced = builder_dir.with_name(_REPLACED)
    if builder_dir.exists():
        builder_dir.rename(replaced)
    try:
        with _quiet():
            builder = DomainFolders(
                config=config,
                data_dir=builder_dir.parents[2],
                file_format="array_record",
            )
            builder.download_and_prepare()
    except BaseException:
        if replaced.exists():
            replaced.rename(builder_dir)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def _explaining_full_disk(name: str, home: pathlib.Path) -> Iterator[None]:
    """Says which disk is full, and what to do, where writing below `home` fails."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError):
            is_ours = error.errno in _NO_ROOM
        else:  # array_record's names the file
            is_ours = str(home) in str(error)
        if not is_ours:
            raise
        reason = str(error).partition(";")[0]
        raise OSError(
            f"{name} cannot be written to {home}: {reason}. Make room there, or store "
            "it elsewhere with --data_dir (config.data.data_dir)"
        ) from error


def _track(items: Iterable, label: str, total: int | None = None) -> Iterable:
    terminal = Console(stderr=True)
    silent = {"console": terminal, "disable": not terminal.is_terminal}
    return track(items, escape(label), total=total, transient=True, **silent)


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
