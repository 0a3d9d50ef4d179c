"""Decoding: every kind of file, transparency, odd but sound files, damaged ones."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from jigsaw_shape.data.decoding import (
    BACKGROUNDS,
    DecodeError,
    decode,
    fault,
    is_transparent,
    max_megapixels,
)


def draw(seed, size=(20, 20), mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).convert(mode)


def encode(image, **options):
    data = io.BytesIO()
    image.save(data, **options)
    return data.getvalue()


def test_decoding_of_every_kind_of_file():
    rgb = draw(1, (30, 20))
    plain = np.asarray(rgb)

    def error(data):
        return np.abs(decode(data).astype(int) - plain).mean()

    assert error(encode(rgb, format="PNG")) == 0
    assert error(encode(rgb.convert("RGBA"), format="PNG")) == 0
    palette = rgb.quantize(256)
    assert error(encode(palette, format="PNG")) < 4
    assert error(encode(palette, format="PNG", transparency=b"\x80\xff")) < 4
    assert error(encode(palette, format="GIF")) < 4
    assert error(encode(rgb.convert("CMYK"), format="JPEG", quality=98)) < 4
    turned = rgb.transpose(Image.Transpose.ROTATE_90)  # 6: turn back clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("PNG", "TIFF", "WEBP"):
        lossless = {"lossless": True} if kind == "WEBP" else {}
        assert error(encode(turned, format=kind, exif=exif, **lossless)) == 0
    assert error(encode(turned, format="JPEG", exif=exif, quality=98)) < 6
    grey = rgb.convert("L")
    decoded = decode(encode(grey, format="PNG"))
    np.testing.assert_array_equal(decoded, np.asarray(grey.convert("RGB")))
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    np.testing.assert_array_equal(decode(encode(deep, format="PNG")), decoded)
    assert decoded.dtype == np.uint8
    assert decoded.flags.writeable


def test_deep_grey_is_read_where_its_range_is_known():
    grey = np.array([[0, 128, 255]])
    for kind in ("PNG", "TIFF", "PPM"):
        deep = Image.fromarray((grey * 257).astype(np.uint16))
        decoded = decode(encode(deep, format=kind))
        np.testing.assert_array_equal(decoded[..., 0], grey)
    thousandths = np.array([0, 502, 1000], ">u2").tobytes()
    decoded = decode(b"P5 3 1 1000\n" + thousandths)
    np.testing.assert_array_equal(decoded[..., 0], grey)


def test_resizing_squashes_and_leaves_what_fits():
    image = draw(2, (30, 20))
    data = encode(image, format="PNG")
    small = decode(data, size_px=8)
    expected = image.resize((8, 8), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(small, np.asarray(expected))
    square = draw(2, (8, 8))
    kept = decode(encode(square, format="PNG"), size_px=8)
    np.testing.assert_array_equal(kept, np.asarray(square))


def half_transparent(mode="RGBA"):
    """Returns an image whose right half is transparent, with black stored there."""
    image = Image.new("RGBA", (8, 4), (200, 100, 50, 255))
    image.paste((0, 0, 0, 0), (4, 0, 8, 4))
    return image.convert(mode)


def files_with_transparency():
    half = half_transparent()
    palette = Image.new("P", (8, 4), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    palette.paste(0, (4, 0, 8, 4))
    opaque = half.convert("RGB")
    return {
        "RGBA": encode(half, format="PNG"),
        "WebP": encode(half, format="WEBP", lossless=True),
        "palette": encode(palette, format="PNG", transparency=b"\x00\xff"),
        "GIF": encode(palette, format="GIF", transparency=0),
        "colour key": encode(opaque, format="PNG", transparency=(0, 0, 0)),
    }


@pytest.mark.parametrize("kind", files_with_transparency())
def test_the_background_shows_where_an_image_is_transparent(kind):
    data = files_with_transparency()[kind]
    assert is_transparent(data)
    for name, colour in {**BACKGROUNDS, "10,20,30": (10, 20, 30)}.items():
        pixels = decode(data, name)
        np.testing.assert_array_equal(pixels[:, :4], np.full((4, 4, 3), (200, 100, 50)))
        expected = (0, 0, 0) if colour is None else colour  # "stored": black here
        np.testing.assert_array_equal(pixels[:, 4:], np.full((4, 4, 3), expected))
    np.testing.assert_array_equal(decode(data), decode(data, "white"))


def test_transparency_in_grey_images():
    for kind in ("PNG", "TIFF"):
        pixels = decode(encode(half_transparent("LA"), format=kind), "white")
        assert (pixels[:, 4:] == 255).all()
        assert (pixels[:, :4] < 210).all()


def test_half_opaque_pixels_are_blended_with_the_background():
    data = encode(Image.new("RGBA", (2, 2), (0, 0, 0, 128)), format="PNG")
    assert (decode(data, "white") == 127).all()
    assert (decode(data, "black") == 0).all()


def test_an_opaque_image_is_not_transparent_whatever_its_mode():
    assert not is_transparent(encode(draw(1), format="JPEG"))
    assert not is_transparent(encode(draw(1).convert("RGBA"), format="PNG"))


@pytest.mark.parametrize("text", ["pink", "1,2", "1,2,256", "-1,0,0", ""])
def test_unknown_backgrounds_are_refused(text):
    with pytest.raises(ValueError, match=r"background is .*: white \| grey \| black"):
        decode(encode(draw(1), format="PNG"), text)


def test_png_files_with_much_text_or_a_large_profile_are_read():
    image, text = draw(1), PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 3_000_000, zip=True)
    noise = np.random.default_rng(0).integers(256, size=2_000_000, dtype=np.uint8)
    for options in ({"pnginfo": text}, {"icc_profile": noise.tobytes()}):
        data = encode(image, format="PNG", **options)
        np.testing.assert_array_equal(decode(data), np.asarray(image))


def test_the_limit_of_pixels_can_be_set(monkeypatch):
    assert max_megapixels() == 180
    data = encode(Image.new("1", (2000, 1000)), format="PNG")  # 2 million
    monkeypatch.setenv("JIGSAW_SHAPE_MAX_MEGAPIXELS", "1.5")
    message = r"2000 x 1000 pixels, more than 1\.5 million.*JIGSAW_SHAPE_MAX_MEGAPIXELS"
    with pytest.raises(DecodeError, match=message):
        decode(data)
    monkeypatch.setenv("JIGSAW_SHAPE_MAX_MEGAPIXELS", "2")
    assert not is_transparent(data)
    with Image.open(io.BytesIO(data)):  # Pillow's own limit does not come before ours
        assert Image.MAX_IMAGE_PIXELS is None
    monkeypatch.setenv("JIGSAW_SHAPE_MAX_MEGAPIXELS", "many")
    with pytest.raises(ValueError, match="JIGSAW_SHAPE_MAX_MEGAPIXELS is 'many'"):
        decode(data)


def exif_with_nan(orientation):
    """Returns EXIF data whose horizontal resolution is not a number."""
    entries = struct.pack("<HHII", 0x0112, 3, 1, orientation)
    entries += struct.pack("<HHIf", 0x011A, 11, 1, float("nan"))
    header = b"II*\x00" + struct.pack("<I", 8) + struct.pack("<H", 2)
    return b"Exif\0\0" + header + entries + struct.pack("<I", 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_odd_exif_data_do_not_stop_an_image(kind):
    image = draw(3, (30, 20))
    plain = decode(encode(image, format=kind))
    turned = decode(encode(image, format=kind, exif=exif_with_nan(6)))
    np.testing.assert_array_equal(turned, np.rot90(plain, -1))
    broken = decode(encode(image, format=kind, exif=b"Exif\0\0II*\0garbage"))
    np.testing.assert_array_equal(broken, plain)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "PNG", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encode(
            frames[0], format=kind, save_all=True, append_images=frames[1:], **options
        )
        assert (decode(data) == (255, 0, 0)).all()


def test_what_is_no_image_or_damaged_is_said_in_words(tmp_path):
    whole = encode(draw(3, (64, 64)), format="PNG")
    wrong = bytearray(whole)
    wrong[whole.index(b"IDAT") + 8] ^= 255
    for data, reason in {
        b"": "^the file is empty$",
        b"no picture": "^not an image$",
        whole[: len(whole) // 2]: "^damaged: ",
        bytes(wrong): "^damaged: ",
        zlib.compress(b"x"): "^not an image$",
    }.items():
        for read in (decode, is_transparent):
            with pytest.raises(DecodeError, match=reason):
                read(data)
    with pytest.raises(OSError, match="No such file") as caught:
        decode(tmp_path / "gone.png")
    assert fault(caught.value) == "No such file or directory"
    (tmp_path / "there.png").write_bytes(whole)
    np.testing.assert_array_equal(decode(tmp_path / "there.png"), decode(whole))
