"""What is prepared, compared with the folder, archive or table that it came from."""

import json
import os
import pathlib
from collections.abc import Callable

import tensorflow_datasets as tfds

from jigsaw_shape.data import archives, image_records, inspection, known_sets
from jigsaw_shape.data.names import printable
from jigsaw_shape.data.surveys import Survey, survey
from jigsaw_shape.system import whole_files
from jigsaw_shape.system.command_line import counted


def difference(builder: tfds.core.DatasetBuilder, source_dir: str | os.PathLike) -> str:
    """Returns how a source's names, sizes and splits differ from what is prepared.

    In a sentence; `""` where they do not, or no source is named.
    """
    source, known = pathlib.Path(source_dir).expanduser(), builder.info.metadata
    where = f"{known['name']} is prepared in {builder.data_path} from {known['source']}"
    if not source_dir:
        return ""
    if not source.exists():
        # Gone from where it was prepared from: what is prepared is all that is left.
        is_that = printable(str(source.absolute())) == known["source"]
        return "" if is_that else f"{source} does not exist. {where}."
    try:
        found = survey(known_sets.find_set(known["spec"]), source)
    except (ValueError, OSError) as error:
        return f"{where}, and {source} cannot be compared with it: {error}."
    if found.fingerprint() == known["fingerprint"]:
        return ""
    n_prepared = sum(map(len, known["names"].values()))
    return (
        f"{where}, which differs from {source} ({n_prepared} and {len(found.images)} "
        "images, by name, size and official split)."
    )


def ways_out(builder: tfds.core.DatasetBuilder, source_dir: str | os.PathLike) -> str:
    """Returns what to do where the two differ, after a sentence that says so."""
    name = builder.info.metadata["name"]
    replace = (
        f", or replace it with `python -m jigsaw_shape.prepare {name} --from "
        f"{source_dir} --overwrite`"
    )
    return " Leave config.data.source_dir (--from) empty to use what is prepared" + (
        replace if os.path.exists(os.path.expanduser(source_dir)) else ""
    )


def refuse_changed(
    builder: tfds.core.DatasetBuilder, source_dir: str | os.PathLike
) -> None:
    """Refuses a source whose files have other contents than what is prepared.

    Only files with other times than when it was prepared are read; the new times are
    recorded where their contents are the same.
    """
    source, known = pathlib.Path(source_dir).expanduser(), builder.info.metadata
    if not source_dir or not source.exists():
        return
    found = survey(known_sets.find_set(known["spec"]), source)
    before = known.get("mtimes_ns", {})
    newer = {i.path: i.name for i in found.images if i.mtime_ns != before.get(i.name)}
    if not newer:
        return
    stored = _stored_files(builder)
    changed = [
        newer[path]
        for path, data in archives.read_files(source, newer)
        if newer[path] in stored and data != stored[newer[path]]()
    ]
    if changed:
        raise ValueError(
            f"{counted(len(changed), 'image')} of {source} changed since "
            f"{known['name']} was prepared in {builder.data_path}, such as "
            f"{changed[0]}."
            f"{ways_out(builder, source_dir)}"
        )
    times = {i.name: i.mtime_ns for i in found.images if i.name in stored}
    path = pathlib.Path(builder.data_path) / "metadata.json"
    if os.access(path, os.W_OK):
        whole_files.write_text(path, json.dumps({**known, "mtimes_ns": times}))


def _stored_files(builder) -> dict[str, Callable[[], bytes]]:
    """Returns what reads each image's file as it is stored, by the image's name."""
    known = builder.info.metadata
    sources = image_records.open_sources(builder)
    return {
        name: lambda source=source, i=i: source[i]["image"]
        for source, domain in zip(sources, known["domains"], strict=True)
        for i, name in enumerate(known["names"][domain])
    }


def version(found: Survey, findings: inspection.Findings, folder: pathlib.Path) -> str:
    """Returns what tells this data set from others of its name.

    The fingerprint; and where the same names and sizes are stored already with other
    contents, a digest of the contents too, so that no run goes on with other pixels.
    """
    fingerprint = found.fingerprint()
    if not (folder / "dataset_info.json").exists():
        return fingerprint
    builder = tfds.builder_from_directory(folder)
    known = builder.info.metadata
    if known["fingerprint"] != fingerprint:
        return fingerprint
    content = known.get("content") or inspection.content_of(
        {n: inspection.digest_of(read()) for n, read in _stored_files(builder).items()}
    )
    if content == findings.content:
        return known.get("version") or fingerprint
    return f"{fingerprint}-{findings.content}"
