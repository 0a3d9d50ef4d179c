"""Folders of images, `{domain}/{class}/*`, prepared once and opened as data sets.

`prepare` checks every file and stores it (`image_records`) under
`{data_dir}/domain_folders/{name}/{version}`. `load` opens that, and prepares it on
first use.
"""

import contextlib
import errno
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from jigsaw_shape.data import (
    archives,
    image_records,
    inspection,
    known_sets,
    layouts,
    source_changes,
    surveys,
)
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.data.known_sets import KnownSet
from jigsaw_shape.data.names import plain, printable
from jigsaw_shape.system import addresses, buckets
from jigsaw_shape.system.command_line import counted
from jigsaw_shape.system.lock import lock

_REPLACED = "incomplete.replaced"  # a prepared data set while another is written
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Prepared(NamedTuple):
    """A data set that is prepared.

    Attributes:
      builder: TFDS's, whose `info.metadata` is what is known of it.
      is_new: Whether it was stored just now.
    """

    builder: tfds.core.DatasetBuilder
    is_new: bool


def prepare(
    name: str,
    *,
    source_dir: str | os.PathLike = "",
    data_dir: str | os.PathLike = "",
    strict: bool = True,
    skip_broken: bool = False,
    overwrite: bool = False,
    spec_name: str = "",
) -> Prepared:
    """Returns the prepared data set, checked and stored now if it was not before.

    A data set appears whole or not at all: a run that is killed leaves nothing that
    `load` would open, and the next one clears up. Of several that start at once, one
    prepares and the others wait for it.

    Args:
      name: A known data set, or any name for a folder of one's own.
      source_dir: A folder, a zip or tar archive of one, or a table of images
        (`split_lists`). `""`: `$NAME_DIR`, then TFDS's folder for manual downloads,
        then the known set's mirrors. Where the data set is prepared already, it must
        hold the same files with the same contents.
      data_dir: A folder, or an address in a bucket (`system.buckets`); `""`:
        `$TFDS_DATA_DIR` or `~/tensorflow_datasets`.
      strict: A known set must be complete; otherwise what is missing is recorded.
      skip_broken: Leave out files that do not decode, and record them, instead of
        refusing them.
      overwrite: Replace what is stored under this name.
      spec_name: The known set that it is a copy of, where `name` is another.

    Raises:
      ValueError: Nothing to prepare from, files that do not decode (all are named),
        images missing, or other data is stored under this name.
      OSError: A file cannot be read, or there is no room for what is written.
    """
    spec = known_sets.find_set(spec_name or name)
    name = plain(name) if spec_name else spec.name
    folder = image_records.folder_of(name, data_dir)
    home = folder.parent
    home.mkdir(parents=True, exist_ok=True)
    with lock(home / ".lock"):
        _fetch(folder, overwrite)
        replaced = home / _REPLACED
        if replaced.exists() and not folder.exists():
            replaced.rename(folder)  # replacing it was interrupted
        for leftover in home.glob("incomplete.*"):
            shutil.rmtree(leftover)
        if folder.exists() and not overwrite:
            builder = tfds.builder_from_directory(folder)
            stored = builder.info.metadata["spec"]
            if spec_name and stored != spec.name:
                raise ValueError(
                    f"{name} is prepared in {builder.data_path} as a copy of {stored}, "
                    f"not of {spec.name}: choose another --name, or --overwrite it"
                )
            known = source_dir or archives.named_folder(name)
            if differs := source_changes.difference(builder, known):
                way_out = source_changes.ways_out(builder, known)
                if not source_dir:
                    way_out = f" ${name.upper()}_DIR names it: unset it, or{way_out}"
                raise ValueError(differs + way_out)
            source_changes.refuse_changed(builder, known)
            buckets.complete(folder)  # of an attempt that ended before
            return Prepared(builder, is_new=False)
        try:
            source = root = archives.find(
                name,
                source_dir=source_dir,
                manual=folder.parents[2] / "downloads" / "manual",
                mirrors=spec.mirrors,
                fault_fn=lambda path: "; ".join(surveys.survey(spec, path).problems),
            )
        except ValueError as error:
            raise ValueError(f"{_advice(spec, name, folder)} {error}") from error
        try:
            with _explaining_full_disk(name, home):
                if layouts.is_table(source):
                    root = source.parent
                elif not source.is_dir():
                    root = home / "incomplete.extracted"
                    archives.extract(source, root)
                survey = surveys.survey(spec, source, extracted=root)
                findings = inspection.inspect(survey, root)
                _refuse_faults(survey, findings, strict, skip_broken)
                version = source_changes.version(survey, findings, folder)
                config = image_records.FolderConfig(
                    name=name,
                    survey=survey,
                    findings=findings,
                    root=root,
                    data_version=version,
                )
                _replace(config, folder)
                buckets.store(folder, is_new=True)
        finally:
            shutil.rmtree(home / "incomplete.extracted", ignore_errors=True)
    return Prepared(tfds.builder_from_directory(folder), is_new=True)


def load(
    name: str,
    *,
    source_dir: str | os.PathLike = "",
    data_dir: str | os.PathLike = "",
    stored_px: int = 227,
    background: str = "white",
    auto_prepare: bool = True,
    is_expected: Callable[[Dataset], bool] = lambda dataset: False,
) -> Dataset:
    """Returns a data set of folders, prepared on first use.

    Notes that matter for training are logged: what a known set lacks, files that were
    skipped, copies between domains. All others are logged when it is prepared.

    Args:
      name: As for `prepare`.
      source_dir: As for `prepare`. Where the data set is prepared already and this is
        given, the two must be the same, by name, size and official split.
      data_dir: As for `prepare`.
      stored_px: `read` returns squares of this side, squashed as `decode` says;
        0: images in their own sizes.
      background: What shows where an image is transparent, as `decode` takes it.
      auto_prepare: Prepare it where it is not prepared.
      is_expected: Whether what is prepared is what a run began with. Then it is used,
        with a warning, even where `source_dir` is gone or has changed since.

    Raises:
      ValueError: It is not prepared and cannot be, or was prepared from other data;
        the message says what to do.
    """
    spec = known_sets.find_set(name)
    name, folder = spec.name, image_records.folder_of(spec.name, data_dir)
    _fetch(folder)
    if not folder.exists() and not auto_prepare:
        raise ValueError(_advice(spec, name, folder))
    is_new = False
    if folder.exists():
        builder = tfds.builder_from_directory(folder)
    else:
        builder, is_new = prepare(name, source_dir=source_dir, data_dir=data_dir)
    dataset = _dataset(builder, stored_px, background)
    differs = "" if is_new else source_changes.difference(builder, source_dir)
    if differs and not is_expected(dataset):
        raise ValueError(differs + source_changes.ways_out(builder, source_dir))
    if differs:
        logging.warning("%s What is prepared is what the run began with.", differs)
    for note in notes(builder, all_of_them=is_new):
        logging.warning("%s: %s", name, note)
    return dataset


def notes(builder: tfds.core.DatasetBuilder, *, all_of_them: bool = True) -> list[str]:
    """Returns what a user should know of a prepared data set, a sentence each.

    Args:
      builder: The data set.
      all_of_them: Also what was passed over when it was prepared.
    """
    known = builder.info.metadata
    found = [f"incomplete: {note}" for note in known["incomplete"]]
    if skipped := known.get("skipped"):
        n = counted(len(skipped), "broken file")
        found.append(f"skipped {n}, such as {skipped[0]}")
    found += [known["copies"]] if known.get("copies") else []
    if not all_of_them:
        return found
    if len(known["classes"]) == 1:
        found.append(
            f"{known['classes'][0]} is the only class: training needs two or more"
        )
    for domain, n in known.get("transparent", {}).items():
        found.append(
            f"{domain}: {n} of {len(known['names'][domain])} images are transparent; "
            "config.data.background shows through"
        )
    return found + list(known["warnings"])


def _fetch(folder: pathlib.Path, overwrite: bool = False) -> None:
    """Fetches a data set from a bucket, whole."""
    buckets.fetch(folder)
    address = addresses.address_of(folder)
    is_part = folder.exists() and not (folder / "dataset_info.json").exists()
    if address and is_part and not overwrite:
        raise ValueError(
            f"{address} is not complete: another machine is storing it, or was stopped "
            "on the way and has to prepare it again; or --overwrite it"
        )


def _dataset(builder, stored_px: int, background: str) -> Dataset:
    known = builder.info.metadata
    domains = tuple(known["domains"])
    sources = image_records.open_sources(builder)
    starts = np.cumsum([0] + [len(known["labels"][d]) for d in domains])
    domain = np.repeat(np.arange(len(domains), dtype=np.int32), np.diff(starts))
    names = tuple(n for d in domains for n in known["names"][d])
    official = np.array([o for d in domains for o in known["official"][d]])

    def read(i: int) -> np.ndarray:
        d = domain[i]
        record = sources[d][int(i) - int(starts[d])]
        if record["name"].decode() != names[i]:
            raise ValueError(
                f"{builder.data_path} is damaged at {names[i]}: prepare it anew"
            )
        return decode(record["image"], background, size_px=stored_px)

    return Dataset(
        name=known["name"],
        classes=tuple(known["classes"]),
        domains=domains,
        label=np.concatenate([known["labels"][d] for d in domains], dtype=np.int32),
        domain=domain,
        read=read,
        official=official if official.astype(bool).any() else None,
        names=names,
        version=known.get("version") or known["fingerprint"],
    )


def _advice(spec: KnownSet, name: str, folder: pathlib.Path) -> str:
    known = f" for the domains {', '.join(spec.domains)}" if spec.domains else ""
    origin = f" It comes from {spec.origin}." if spec.origin else ""
    return (
        f"{name} is not prepared in {folder}. Run `python -m jigsaw_shape.prepare "
        f"{name} --from DIR`, or set config.data.source_dir or ${name.upper()}_DIR: "
        f"DIR holds {{domain}}/{{class}}/*{known}, or is a zip or tar archive of that."
        f"{origin}"
    )


def _refuse_faults(
    survey: surveys.Survey,
    findings: inspection.Findings,
    strict: bool,
    skip_broken: bool,
) -> None:
    """Refuses broken files, unless skipped, and if strict a data set with too few."""
    problems = list(survey.problems) if strict else []
    hints = ["refused without --allow-partial"] if problems else []
    if findings.faults and not skip_broken:
        problems += [f"{printable(p)}: {fault}" for p, fault in findings.faults.items()]
        hints.append("--skip-broken leaves broken files out")
    elif len(findings.faults) == len(survey.images):
        problems.append("every image is broken")
    if problems:
        items = "".join(f"\n  {problem}" for problem in problems)
        hint = f" ({'; '.join(hints)})" if hints else ""
        n = counted(len(problems), "fault")
        raise ValueError(f"{survey.source} has {n}{hint}:{items}")


def _replace(config: image_records.FolderConfig, folder: pathlib.Path) -> None:
    """Writes the records; what was there goes once the new ones are complete."""
    replaced = folder.with_name(_REPLACED)
    if folder.exists():
        folder.rename(replaced)
    try:
        image_records.write(config, folder)
    except BaseException:
        if replaced.exists():
            replaced.rename(folder)
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
            "it elsewhere with --data-dir (config.data.data_dir)"
        ) from error
