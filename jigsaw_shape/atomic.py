"""Files that are written whole or not at all."""

import pathlib


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a file at once, so that a kill leaves the old one or the new one."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)
