"""Decodes image files: the one way from a file to RGB pixels, for every command."""

import contextlib
import importlib
import io
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

# Suffixes that Pillow reads with a package alone -> the package, and its module.
PLUGINS = {
    ".heic": ("pillow-heif", "pillow_heif"),
    ".heif": ("pillow-heif", "pillow_heif"),
    ".hif": ("pillow-heif", "pillow_heif"),
    ".jxl": ("pillow-jxl-plugin", "pillow_jxl"),
    ".avif": ("pillow-avif-plugin", "pillow_avif"),
}
for _module in {module for _, module in PLUGINS.values()}:  # where it is installed
    with contextlib.suppress(ImportError):
        _plugin = importlib.import_module(_module)
        if hasattr(_plugin, "register_heif_opener"):
            _plugin.register_heif_opener()

# What shows through where an image is transparent. "stored" is what files keep there,
# whatever it is, often black: what was done before there was a choice.
BACKGROUNDS = {
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "black": (0, 0, 0),
    "stored": None,
}
MAX_PIXELS_VARIABLE = "JIGSAW_SHAPE_MAX_MEGAPIXELS"
_MAX_MEGAPIXELS = 180  # of 3 bytes each, in several threads at once

# Pillow refuses a PNG for more text or a larger colour profile than this, in bytes once
# uncompressed. We use neither, so only what could fill the memory is refused.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 2**28
Image.MAX_IMAGE_PIXELS = None  # `open_image` has a limit that users can set

_ORIENTATION = 0x0112  # EXIF's tag; how to turn an image upright by its value:
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow's formats whose pixels in mode I, 32 bits, fill 0..65535. A TIFF's may be any.
_DEEP_FORMATS = ("PNG", "PPM")

Source = bytes | str | os.PathLike  # a file's content, or its path


class DecodeError(ValueError):
    """A file is not an image that can be used; the message says why."""


def decode(
    source: Source, background: str = "white", *, size_px: int = 0
) -> np.ndarray:
    """Returns an image's pixels: uint8 [H, W, 3], RGB.

    Grey, palettes and CMYK become RGB as Pillow converts them, 16 bits a channel are
    scaled to 8, EXIF orientation is applied, and an animation gives its first frame.

    >>> decode("photos/1.png", size_px=32).shape
    (32, 32, 3)

    Args:
      source: A file's content or its path, in any format that Pillow reads.
      background: What shows through where the image is transparent: a key of
        `BACKGROUNDS`, or `"R,G,B"` in 0 to 255.
      size_px: If above 0, the result is resized to H = W = `size_px` with an
        antialiased bilinear filter, squashing what is not square: nothing is cropped,
        as in JiGen's evaluation.

    Raises:
      DecodeError: The data are no image, are damaged, or hold pixels whose range is not
        known.
      OSError: The file cannot be read.
      ValueError: There is no such background.
    """
    colour = parse_background(background)
    with open_image(source) as image, _explained():
        image = _upright(image)
        if colour is not None and image.has_transparency_data:
            below = Image.new("RGBA", image.size, (*colour, 255))
            image = Image.alpha_composite(below, image.convert("RGBA"))
        elif image.has_transparency_data:
            image = image.convert("RGBA")
        image = image.convert("RGB")
        if size_px and image.size != (size_px, size_px):
            image = image.resize((size_px, size_px), Image.Resampling.BILINEAR)
        return np.array(image)


def is_transparent(source: Source) -> bool:
    """Returns whether the background shows through an image anywhere.

    The whole image is decoded, so this raises what `decode` does.
    """
    with open_image(source) as image, _explained():
        image = _upright(image)
        if not image.has_transparency_data:
            image.convert("RGB")
            return False
        return image.convert("RGBA").getchannel("A").getextrema()[0] < 255


def background_of(data: Mapping[str, Any]) -> str:
    """Returns the background of a configuration's `data`.

    Runs from before there was a choice have no such field, and keep what they did.
    """
    return data.get("background", "stored")


def parse_background(text: str) -> tuple[int, int, int] | None:
    """Returns the RGB in 0 to 255 that `text` names; None for `"stored"`.

    Raises:
      ValueError: `text` is neither a key of `BACKGROUNDS` nor `"R,G,B"`.
    """
    if text in BACKGROUNDS:
        return BACKGROUNDS[text]
    numbers = [part.strip() for part in text.split(",")]
    if len(numbers) != 3 or not all(n.isdecimal() and int(n) <= 255 for n in numbers):
        raise ValueError(
            f"background is {text!r}: {' | '.join(BACKGROUNDS)} allowed, or R,G,B such "
            "as 250,240,230"
        )
    return tuple(map(int, numbers))


@contextlib.contextmanager
def open_image(source: Source) -> Iterator[Image.Image]:
    """Yields the Pillow image of a file, whose pixels are not decoded yet.

    Raises:
      DecodeError: The data are no image, or one with too many pixels.
      OSError: The file cannot be read.
    """
    is_path = not isinstance(source, bytes)
    data = pathlib.Path(source).read_bytes() if is_path else source
    if not data:
        raise DecodeError("the file is empty")
    with contextlib.ExitStack() as stack:
        with _explained():
            image = stack.enter_context(Image.open(io.BytesIO(data)))
        w, h = image.size
        if w * h > 1_000_000 * max_megapixels():
            raise DecodeError(
                f"it has {w} x {h} pixels, more than {max_megapixels():g} million: "
                f"reduce it, or set ${MAX_PIXELS_VARIABLE} higher if memory allows"
            )
        yield image


def max_megapixels() -> float:
    """Returns how many millions of pixels an image may have.

    Raises:
      ValueError: The environment variable holds no number above 0.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE, "") or str(_MAX_MEGAPIXELS)
    try:
        limit = float(text)
    except ValueError:
        limit = 0
    if not limit > 0:
        raise ValueError(f"${MAX_PIXELS_VARIABLE} is {text!r}: a number above 0")
    return limit


def fault(error: Exception) -> str:
    """Returns in a few words why a file could not be read or decoded."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _upright(image: Image.Image) -> Image.Image:
    """Returns an image of 8 bits a channel, loaded and turned as its EXIF data say."""
    image.load()
    is_wide = image.mode == "I" and image.format not in _DEEP_FORMATS
    if is_wide or image.mode == "F":
        kind = "signed or 32-bit integers" if is_wide else "floats"
        raise DecodeError(
            f"its pixels are {kind}, whose range is not known: save it with 8 or 16 "
            "bits"
        )
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION))
    except Exception:  # broken EXIF data: Pillow raises nearly any kind
        turn = None
    if image.mode.startswith("I"):
        deep = np.clip(np.asarray(image), 0, 65535)
        image = Image.fromarray(np.rint(deep / 257).astype(np.uint8))
    return image if turn is None else image.transpose(turn)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turns what Pillow raises, which is nearly any kind, into a `DecodeError`."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise DecodeError("not an image") from error
    except (DecodeError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DecodeError(f"damaged: {reason}") from error
