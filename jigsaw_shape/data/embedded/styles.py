"""How the four domains of the embedded data set paint an object.

Every style is `style(parts, texture, rng, size_px)`: the posed silhouette in pixels, a
key of `drawing.PATTERNS` or None for a plain fill, the generator that draws everything
left to chance, and the picture's side. It returns float32 [size_px, size_px, 3], about
0..1. Another domain is one function and one entry in `STYLES`.
"""

import colorsys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from jigsaw_shape.data.embedded import drawing


def _colour(
    rng: np.random.Generator, saturation: tuple[float, float], luminance: float
) -> np.ndarray:
    """Returns a colour of a random hue and the given luminance, float32 [3]."""
    hue = rng.random()
    rgb = np.float32(colorsys.hsv_to_rgb(hue, rng.uniform(*saturation), 1.0))
    bright = rgb @ np.float32([0.299, 0.587, 0.114])
    if bright > luminance:
        return rgb * luminance / bright
    return 1 - (1 - rgb) * (1 - luminance) / (1 - bright)


def _two_tone(
    rng: np.random.Generator, saturation: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a dark and a light colour in random order."""
    dark = _colour(rng, saturation, rng.uniform(0.15, 0.35))
    light = _colour(rng, saturation, rng.uniform(0.6, 0.85))
    return (dark, light) if rng.random() < 0.5 else (light, dark)


def _mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Returns a where `share` [H, W] is 0, b where it is 1."""
    return a + (b - a) * share[..., None]


def _blur(mask: np.ndarray, radius_px: float) -> np.ndarray:
    image = Image.fromarray((mask * 255).astype(np.uint8))
    blurred = image.filter(ImageFilter.GaussianBlur(radius_px))
    return np.asarray(blurred, np.float32) / 255


def _line(mask: np.ndarray, width_px: float) -> np.ndarray:
    """Returns the outline of a mask as ink, float32 [H, W], 0..1."""
    blurred = _blur(mask, width_px / 2)
    return np.clip(1.6 - 4.5 * np.abs(blurred - 0.5), 0, 1)


def _surface(
    a: np.ndarray,
    b: np.ndarray,
    texture: str | None,
    rng: np.random.Generator,
    size_px: int,
    warp: float,
) -> np.ndarray:
    """Returns the pattern in two colours, or their mean: float32 [H, W, 3]."""
    if texture is None:
        return np.full((size_px, size_px, 3), (a + b) / 2, np.float32)
    return _mix(a, b, drawing.pattern(texture, rng, size_px, warp))


def _photo(parts, texture, rng, size_px):
    """Shaded and textured, with a soft shadow, before clutter out of focus."""
    scale = size_px / 64
    mask = drawing.fill(parts, size_px)
    offset = scale * np.array((2, 3))
    lower = [(p + offset, adds) for p, adds in parts]
    shadow = _blur(drawing.fill(lower, size_px), 2.5 * scale)
    background = _clutter(rng, size_px) * (1 - 0.5 * shadow[..., None])
    surface = _surface(*_two_tone(rng, (0.15, 0.7)), texture, rng, size_px, 0.12)
    # Lit from the upper left, as if the middle of the object stood out.
    down, right = np.gradient(_blur(mask, 3.5 * scale))
    light = np.clip(1 + 2.8 * scale * (down + right), 0.45, 1.4)
    image = _mix(background, surface * light[..., None], mask)
    return image + 0.025 * rng.standard_normal(image.shape, dtype=np.float32)


def _clutter(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """Returns blurred patches of colour on a gradient, float32 [H, W, 3]."""
    colours = [_colour(rng, (0.1, 0.6), rng.uniform(0.2, 0.8)) for _ in range(7)]
    ground = np.clip(0.5 + 0.4 * drawing.noise(rng, size_px, (2, 2)), 0, 1)
    ground = _mix(colours[0], colours[1], ground)
    image = Image.fromarray((255 * ground).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for colour in colours[2:]:
        centre, radius = rng.uniform(0, 1, 2), rng.uniform(0.06, 0.22)
        angle = np.sort(rng.uniform(0, 2 * np.pi, 5))
        points = centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        pen.polygon(
            (points * size_px).ravel().tolist(),
            fill=tuple(int(255 * c) for c in colour),
        )
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.5) * size_px / 64))
    return np.asarray(image, np.float32) / 255


def _painting(parts, texture, rng, size_px):
    """A few pigments in visible strokes on canvas; no outline, no shade."""
    strokes = _strokes(rng, size_px)
    surface = _surface(*_two_tone(rng, (0.3, 0.8)), texture, rng, size_px, 0.2)
    surface = surface * (1 + 0.35 * strokes[..., None])
    ground = rng.uniform(0.35, 0.65)
    behind = [_colour(rng, (0.2, 0.7), ground + d) for d in (-0.15, 0.15)]
    background = _mix(*behind, np.clip(0.5 + 0.9 * strokes, 0, 1))
    image = _mix(background, surface, drawing.fill(parts, size_px))
    canvas = rng.standard_normal((size_px, size_px, 1), dtype=np.float32)
    return image * (1 + 0.04 * canvas)


def _strokes(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """Returns the tone of overlapping brush strokes, float32 [H, W], -0.5..0.5."""
    n, n_strokes = 2 * size_px, 90
    image = Image.new("L", (n, n), 128)
    pen = ImageDraw.Draw(image)
    lead = rng.uniform(0, np.pi)
    start = rng.uniform(0, 1, (n_strokes, 2))
    angle = lead + rng.normal(0, 0.35, n_strokes)
    along = rng.uniform(0.08, 0.2, n_strokes) * np.stack([np.cos(angle), np.sin(angle)])
    ends = np.concatenate([start - along.T, start + along.T], axis=1) * n
    tones = rng.integers(0, 256, n_strokes)
    for line, tone in zip(ends.tolist(), tones.tolist(), strict=True):
        pen.line(line, fill=tone, width=max(1, n // 22))
    return np.asarray(image.reduce(2), np.float32) / 255 - 0.5


def _cartoon(parts, texture, rng, size_px):
    """Flat colours, a bold black outline, paper or two flat tones behind."""
    scale = size_px / 64
    mask = drawing.fill(parts, size_px)
    sky = _colour(rng, (0.3, 0.9), rng.uniform(0.55, 0.9))
    floor = _colour(rng, (0.3, 0.9), rng.uniform(0.45, 0.8))
    if rng.random() < 0.3:  # on paper
        sky = floor = np.full(3, rng.uniform(0.9, 1.0), np.float32)
    horizon = rng.uniform(0.5, 1.3) * size_px
    below = np.clip(np.arange(size_px, dtype=np.float32) - horizon, 0, 1)
    background = _mix(sky, floor, np.repeat(below[:, None], size_px, axis=1))
    a, b = _two_tone(rng, (0.4, 1.0))
    a = a + (b - a) * rng.uniform(0, 0.45)  # the pattern may be faint
    image = _mix(background, _surface(a, b, texture, rng, size_px, 0.0), mask)
    ink = _line(mask, rng.uniform(1.6, 2.6) * scale)
    return _mix(image, np.float32([0.05, 0.05, 0.07]), ink)


def _sketch(parts, texture, rng, size_px):
    """An unsteady pencil line, drawn twice, on white paper; no texture."""
    scale = size_px / 64
    width = max(1.0, rng.uniform(1.0, 1.8) * scale)  # a thinner one would vanish
    ink = np.zeros((size_px, size_px), np.float32)
    for _ in range(2):
        again = drawing.bend(parts, rng, 0.5 * scale, 0.25 / scale)
        pressure = 0.85 + 0.15 * drawing.noise(rng, size_px, (5, 5))
        ink = np.maximum(ink, _line(drawing.fill(again, size_px), width) * pressure)
    paper, pencil = rng.uniform((0.95, 0.05), (1.0, 0.25)).astype(np.float32)
    grain = 0.012 * rng.standard_normal(ink.shape, dtype=np.float32)
    image = paper + (pencil - paper) * np.clip(ink, 0, 1) + grain
    return np.repeat(image[..., None], 3, axis=2)


STYLES = {
    "photo": _photo,
    "painting": _painting,
    "cartoon": _cartoon,
    "sketch": _sketch,
}
