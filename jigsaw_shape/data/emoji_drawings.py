"""Draws the packages of `emoji` as images: `{design}/{name}/{icon}.png` on white.

`prepare emoji` reads the folder as any other, and so does `evaluate --data`.
"""

import io
import itertools
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image

from jigsaw_shape.data import archives, emoji, icon_packages, image_records
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.data.icon_packages import IconSet
from jigsaw_shape.data.names import plain
from jigsaw_shape.system import whole_files
from jigsaw_shape.system.command_line import track
from jigsaw_shape.system.lock import lock

SIZE_PX = 192
RECORD = "packages.json"  # in the folder of drawings: where they are from
_MARGIN = 1 / 16  # of the side, left white around a drawing
_SEEN_PX = 24  # near-duplicates are looked for at this side
_NEAR = 0.02  # mean absolute difference, of 0 to 1, below which two drawings are one
_NOTED = 0.01  # share of names that two designs draw nearly alike, to be noted


class Drawings(NamedTuple):
    """The folder of drawings.

    Attributes:
      folder: With a folder a design.
      notes: What is worth knowing of them, a sentence each.
    """

    folder: pathlib.Path
    notes: tuple[str, ...]


def draw(
    source_dir: str | os.PathLike = "",
    data_dir: str | os.PathLike = "",
    *,
    size_px: int = SIZE_PX,
    strict: bool = True,
    skip_broken: bool = False,
) -> Drawings | None:
    """Returns the drawings of all designs, drawn now unless they are there already.

    They are in TFDS's folder for manual downloads, where `prepare` looks for them.

    Args:
      source_dir: A folder with the packages, see `icon_packages.find`; `""`: those that
        npm fetched before, or fetches now.
      data_dir: As `prepared_folders.prepare` takes it.
      size_px: The side of the images.
      strict: Refuse packages of other versions than the benchmark's.
      skip_broken: Leave out what does not render, instead of refusing it.

    Returns:
      None where `source_dir` is no folder with one of the packages in it.

    Raises:
      ValueError: A package is missing, damaged or of another version, there is no npm
        or no resvg, or an SVG does not render; a line for each.
      OSError: There is no room.
    """
    if not 32 <= size_px <= 1024:
        raise ValueError(f"--size is {size_px}: 32 to 1024 allowed")
    manual = image_records.folder_of(emoji.NAME, data_dir).parents[2]
    manual = manual / "downloads" / "manual"
    source_dir = source_dir or archives.named_folder(emoji.NAME)
    source = pathlib.Path(source_dir).expanduser()
    if source_dir and not source.is_dir():
        return None
    if not source_dir:
        source = manual / "emoji_packages"
        have = icon_packages.find(source, emoji.DESIGNS) if source.is_dir() else {}
        lacking = {
            n: d.version
            for n, d in emoji.DESIGNS.items()
            if d.version not in {one.version for one in have.get(n, ())}
        }
        if lacking:
            icon_packages.fetch(lacking, source)
    found = icon_packages.find(source, emoji.DESIGNS)
    if not found:
        return None
    designs = choose_versions(found, source, strict)
    record = {
        "size_px": size_px,
        "packages": {
            name: {
                "version": icons.version,
                "digest": icons.digest,
                "licence": emoji.DESIGNS[name].licence,
                "author": emoji.DESIGNS[name].author,
            }
            for name, icons in designs.items()
        },
    }
    folder = manual / emoji.NAME
    manual.mkdir(parents=True, exist_ok=True)
    with lock(manual / f".{emoji.NAME}.lock"):  # another may be drawing
        try:
            before = json.loads((folder / RECORD).read_text())
        except (OSError, ValueError):
            before = {}
        if {key: before.get(key) for key in record} != record:
            notes = _draw_all(designs, folder, size_px, skip_broken)
            before = {**record, "notes": notes}
            whole_files.write_text(folder / RECORD, json.dumps(before, indent=1))
    return Drawings(folder, tuple(before["notes"]))


def choose_versions(found, source, strict: bool) -> dict[str, IconSet]:
    """Returns one package a design, in the order of `emoji.DESIGNS`.

    Args:
      found: What `icon_packages.find` found in `source`.
      source: For messages.
      strict: Refuse a design that is missing or of another version.
    """
    chosen, faults = {}, []
    for name, design in emoji.DESIGNS.items():
        there = {one.version: one for one in found.get(name, ())}
        one = there.get(design.version) or next(iter(there.values()), None)
        get = f"npm pack @iconify-json/{name}@{design.version}"
        if one is None:
            faults.append(f"{name} is missing in {source}: {get}")
        elif one.version != design.version:
            faults.append(
                f"{one.source}: {name} is version {one.version or 'unknown'}, the "
                f"benchmark is drawn from {design.version}: {get}"
            )
        if one is not None:
            chosen[name] = one
    if faults and strict:
        lines = "".join(f"\n  {fault}" for fault in faults)
        raise ValueError(f"refused without --allow-partial:{lines}")
    return chosen


def _draw_all(
    designs: Mapping[str, IconSet], folder: pathlib.Path, size_px: int, skip: bool
) -> list[str]:
    """Writes every drawing, all or none, and returns notes on them."""
    render = renderer(size_px)
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    chosen = emoji.choose(designs)
    todo = [(n, d, icon) for n, of in chosen.items() for d, icon in of.items()]
    faults, seen = [], {}
    for name, design, icon in track(todo, "drawing"):
        try:
            data = render(designs[design].svg(icon))
        except ValueError as error:
            faults.append(f"{design}/{icon} does not render: {error}")
            continue
        path = part / plain(design) / plain(name) / f"{icon}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        seen[name, design] = decode(data, size_px=_SEEN_PX).astype(np.float32) / 255
    if faults and not skip:
        shutil.rmtree(part, ignore_errors=True)
        lines = "".join(f"\n  {' '.join(fault.split())}" for fault in faults)
        raise ValueError(f"refused without --skip-broken:{lines}")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    notes = [f"left out: {' '.join(fault.split())}" for fault in faults]
    return notes + near_notes(seen)


def near_notes(seen: Mapping[tuple[str, str], np.ndarray]) -> list[str]:
    """Returns which designs draw a hundredth of the names nearly alike, or more.

    Mostly plain shapes are alike; of versions of one design, more is.

    Args:
      seen: float32 [S, S, 3] in [0, 1] by name and design.
    """
    names = list(dict.fromkeys(name for name, _ in seen))
    designs = list(dict.fromkeys(design for _, design in seen))
    notes = []
    for one, other in itertools.combinations(designs, 2):
        both = [n for n in names if (n, one) in seen and (n, other) in seen]
        near = [n for n in both if np.abs(seen[n, one] - seen[n, other]).mean() < _NEAR]
        if len(near) > _NOTED * len(both):
            notes.append(
                f"{one} and {other} draw {len(near)} of {len(both)} names nearly "
                f"alike, such as {near[0]}"
            )
    return notes


def renderer(size_px: int) -> Callable[[str], bytes]:
    """Returns what draws an SVG on white with a margin, as a PNG file."""
    try:
        import resvg_py
    except ImportError as error:
        raise ValueError(
            "drawing SVG needs resvg-py: pip install 'jigsaw_shape[emoji]'"
        ) from error
    inner_px = size_px - 2 * round(size_px * _MARGIN)

    def render(svg: str) -> bytes:
        drawn = resvg_py.svg_to_bytes(svg_string=svg, width=inner_px, height=inner_px)
        with Image.open(io.BytesIO(drawn)) as image:
            image = image.convert("RGBA")
        canvas = Image.new("RGBA", (size_px, size_px), (255, 255, 255, 255))
        left, top = ((size_px - side) // 2 for side in image.size)
        canvas.alpha_composite(image, (left, top))
        canvas = canvas.convert("RGB")
        if all(low == high for low, high in canvas.getextrema()):
            raise ValueError("nothing is drawn")
        out = io.BytesIO()
        canvas.save(out, "PNG")
        return out.getvalue()

    return render
