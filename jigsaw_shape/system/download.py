"""Files from the network: resumable, with a progress bar."""

import http.client
import pathlib
import urllib.request

from jigsaw_shape.system import command_line

_TIMEOUT_S = 15  # without an answer, or without a byte
_CHUNK = 1 << 20


def download(url: str, part: pathlib.Path) -> None:
    """Writes what `url` gives to `part`, continuing one that is there.

    A continuation is asked for with the entity tag of the first attempt, so that a file
    that has changed since is sent, and written, from its start.

    Args:
      url: http, https or file.
      part: The file to write; its folder exists.

    Raises:
      OSError: The server cannot be reached, or the connection broke off; what came is
        kept for the next call.
      http.client.HTTPException: The answer is no valid HTTP.
    """
    tag_file = part.with_suffix(".tag")
    request = urllib.request.Request(url, headers={"User-Agent": "jigsaw_shape"})
    if part.exists() and tag_file.exists() and part.stat().st_size:
        request.add_header("Range", f"bytes={part.stat().st_size}-")
        request.add_header("If-Range", tag_file.read_text())
    with (
        urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer,
        command_line.progress_bar(f"downloading {url}", in_bytes=True) as update,
    ):
        going_on = answer.status == http.client.PARTIAL_CONTENT
        tag = answer.headers.get("ETag", "")
        tag_file.unlink(missing_ok=True)
        if tag and not tag.startswith("W/"):  # a weak tag allows other bytes
            tag_file.write_text(tag)
        start = part.stat().st_size if going_on else 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        end = start
        with part.open("ab" if going_on else "wb") as out:
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                end += len(chunk)
                update(end, total=total)
    if total is not None and end != total:
        raise OSError(f"broke off after {end} of {total} bytes")
    tag_file.unlink(missing_ok=True)
