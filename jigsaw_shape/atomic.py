"""Files that are written whole or not at all."""

import pathlib
import secrets


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a file at once, so that a kill leaves the old one or the new one.

    Several processes may write it: the last one's stays.
    """
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    partial.write_text(text)
    partial.replace(path)
