"""What the embedded data set is drawn with: silhouettes and textures.

Both are dictionaries from a name to a drawing: another class or pattern is one entry.
Coordinates are (x, y), y down. Everything scales with the picture: a texture's period
is a fraction of its side, not a number of pixels.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

# A silhouette is painted part by part: (closed polygon float [P, 2], adds or cuts).
Parts = list[tuple[np.ndarray, bool]]

# A mask is rasterized this many times finer than the image, then averaged.
SUPERSAMPLING = 4


def _straight(*points: tuple[float, float]) -> np.ndarray:
    """Returns the polygon with points added along its edges, so that it can bend."""
    corners = np.array(points)
    pieces = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        n = max(1, int(np.linalg.norm(end - start) / 0.1))
        pieces.append(start + (end - start) * (np.arange(n) / n)[:, None])
    return np.concatenate(pieces)


def _smooth(*points: tuple[float, float]) -> np.ndarray:
    """Returns the closed Catmull-Rom spline through the points."""
    p1 = np.array(points)
    p0, p2, p3 = (np.roll(p1, -k, axis=0) for k in (-1, 1, 2))
    t = np.linspace(0, 1, 6, endpoint=False)[:, None, None]
    curve = p1 + 0.5 * t * (
        (p2 - p0) + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
    )
    return curve.transpose(1, 0, 2).reshape(-1, 2)


def _ellipse(x: float, y: float, rx: float, ry: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def _bird() -> Parts:
    body = _smooth(
        (-0.62, -0.22), (-0.50, -0.38), (-0.32, -0.38), (-0.15, -0.22), (0.2, -0.14),
        (0.5, 0.02), (0.3, 0.24), (0.0, 0.34), (-0.3, 0.28), (-0.52, 0.05),
    )  # fmt: skip
    beak = _straight((-0.58, -0.30), (-0.96, -0.16), (-0.58, -0.08))
    tail = _straight((0.3, -0.08), (1.0, -0.04), (0.86, 0.13), (0.98, 0.3), (0.3, 0.22))
    wing = _smooth(
        (-0.24, -0.12), (-0.2, -0.5), (0.05, -0.85), (0.5, -1.05), (0.48, -0.7),
        (0.52, -0.4), (0.38, 0.02), (0.0, 0.1),
    )  # fmt: skip
    return [(body, True), (beak, True), (tail, True), (wing, True)]


def _boat() -> Parts:
    hull = _straight((-0.95, 0.42), (0.95, 0.42), (0.62, 0.85), (-0.62, 0.85))
    mast = _straight((-0.1, -0.98), (0.0, -0.98), (0.0, 0.5), (-0.1, 0.5))
    main = _straight((0.0, -0.95), (0.82, 0.27), (0.0, 0.27))
    jib = _straight((-0.2, -0.68), (-0.2, 0.27), (-0.78, 0.27))
    return [(hull, True), (mast, True), (main, True), (jib, True)]


def _cat() -> Parts:
    head = _ellipse(-0.12, -0.5, 0.36, 0.31)
    left = _straight((-0.46, -0.5), (-0.44, -1.02), (-0.12, -0.74))
    right = _straight((-0.12, -0.74), (0.2, -1.02), (0.22, -0.5))
    body = _smooth(
        (-0.12, -0.35), (0.12, -0.22), (0.34, 0.25), (0.4, 0.75), (0.2, 0.92),
        (-0.12, 0.92), (-0.44, 0.92), (-0.64, 0.75), (-0.56, 0.25), (-0.34, -0.22),
    )  # fmt: skip
    tail = _smooth(
        (0.2, 0.92), (0.6, 0.9), (0.86, 0.6), (0.84, 0.2), (0.66, -0.06), (0.56, 0.06),
        (0.66, 0.3), (0.62, 0.56), (0.46, 0.68), (0.2, 0.7),
    )  # fmt: skip
    return [(part, True) for part in (head, left, right, body, tail)]


def _cup() -> Parts:
    handle = _ellipse(0.5, -0.02, 0.46, 0.46)
    hole = _ellipse(0.52, -0.02, 0.25, 0.25)
    body = _straight(
        (-0.78, -0.72), (0.5, -0.72), (0.46, 0.42), (0.3, 0.66), (-0.58, 0.66),
        (-0.74, 0.42),
    )  # fmt: skip
    return [(handle, True), (hole, False), (body, True)]


def _fish() -> Parts:
    body = _smooth(
        (-0.98, 0.0), (-0.7, -0.3), (-0.25, -0.45), (0.2, -0.32), (0.58, -0.08),
        (0.58, 0.08), (0.2, 0.32), (-0.25, 0.45), (-0.7, 0.3),
    )  # fmt: skip
    tail = _straight((0.45, 0.0), (1.0, -0.5), (0.84, 0.0), (1.0, 0.5))
    back = _straight((-0.4, -0.36), (0.02, -0.76), (0.3, -0.62), (0.26, -0.22))
    belly = _straight((-0.3, 0.36), (0.02, 0.7), (0.12, 0.3))
    return [(part, True) for part in (body, tail, back, belly)]


def _house() -> Parts:
    walls = _straight((-0.66, -0.1), (0.66, -0.1), (0.66, 0.8), (-0.66, 0.8))
    roof = _straight((-0.95, -0.04), (0.0, -0.85), (0.95, -0.04))
    chimney = _straight((0.36, -0.85), (0.6, -0.85), (0.6, -0.2), (0.36, -0.2))
    door = _straight((0.08, 0.22), (0.4, 0.22), (0.4, 0.64), (0.08, 0.64))
    window = _straight((-0.42, 0.12), (-0.12, 0.12), (-0.12, 0.42), (-0.42, 0.42))
    parts = [(walls, True), (roof, True), (chimney, True)]
    return [*parts, (door, False), (window, False)]


def _key() -> Parts:
    bow = _ellipse(-0.5, 0.0, 0.5, 0.5)
    hole = _ellipse(-0.54, 0.0, 0.2, 0.2)
    shaft = _straight(
        (-0.1, -0.17), (0.9, -0.17), (1.0, 0.0), (0.9, 0.17), (-0.1, 0.17)
    )
    tooth = _straight((0.28, 0.05), (0.5, 0.05), (0.5, 0.55), (0.28, 0.55))
    tip = _straight((0.66, 0.05), (0.9, 0.05), (0.9, 0.46), (0.66, 0.46))
    return [(bow, True), (hole, False), (shaft, True), (tooth, True), (tip, True)]


def _tree() -> Parts:
    top = _straight((0.0, -1.05), (0.42, -0.45), (-0.42, -0.45))
    middle = _straight((0.0, -0.72), (0.6, 0.08), (-0.6, 0.08))
    bottom = _straight((0.0, -0.3), (0.78, 0.66), (-0.78, 0.66))
    trunk = _straight((-0.15, 0.6), (0.15, 0.6), (0.15, 1.0), (-0.15, 1.0))
    return [(part, True) for part in (top, middle, bottom, trunk)]


def _unit_area(parts: Parts) -> Parts:
    """Returns the silhouette about its box's centre, scaled to cover an area of 1."""
    points = np.concatenate([polygon for polygon, _ in parts])
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    parts = [((polygon - centre), adds) for polygon, adds in parts]
    n, reach = 256, 1.2
    pixels = [((polygon / reach + 1) * n / 2, adds) for polygon, adds in parts]
    area = fill(pixels, n, supersampling=1).mean() * (2 * reach) ** 2
    return [(polygon / np.sqrt(area), adds) for polygon, adds in parts]


def fill(parts: Parts, size_px: int, supersampling: int = SUPERSAMPLING) -> np.ndarray:
    """Returns how much of each pixel the silhouette covers.

    Args:
      parts: Polygons in pixels of the result, painted in order.
      size_px: Side of the result.
      supersampling: Subpixels a pixel, along each axis.

    Returns:
      float32 [size_px, size_px], 0..1.
    """
    fine = Image.new("L", (size_px * supersampling,) * 2)
    pen = ImageDraw.Draw(fine)
    for polygon, adds in parts:
        pen.polygon((polygon * supersampling).ravel().tolist(), fill=255 * adds)
    return np.asarray(fine.reduce(supersampling), np.float32) / 255


SILHOUETTES: dict[str, Parts] = {
    "bird": _unit_area(_bird()),
    "boat": _unit_area(_boat()),
    "cat": _unit_area(_cat()),
    "cup": _unit_area(_cup()),
    "fish": _unit_area(_fish()),
    "house": _unit_area(_house()),
    "key": _unit_area(_key()),
    "tree": _unit_area(_tree()),
}


def pose(parts: Parts, rng: np.random.Generator, size_px: int) -> Parts:
    """Returns a silhouette in pixels: bent, turned, sheared, flipped and placed.

    Args:
      parts: A silhouette of unit area.
      rng: Draws all of it: up to 20 degrees, 20 to 30 % of the picture, any place where
        the box stays inside. One too large for the picture is shrunk to fit.
      size_px: Side of the picture.
    """
    angle, shear, stretch, area = rng.uniform(
        (-0.35, -0.12, -0.1, 0.20), (0.35, 0.12, 0.1, 0.30)
    )
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    flip = np.diag([rng.choice((-1.0, 1.0)), 1.0])
    form = np.array([[np.exp(stretch), shear], [0, np.exp(-stretch)]])
    matrix = flip @ form @ turn * np.sqrt(area) * size_px
    parts = [(p @ matrix, adds) for p, adds in bend(parts, rng, 0.025, 2.5)]
    points = np.concatenate([p for p, _ in parts])
    low, high = points.min(axis=0), points.max(axis=0)
    room = 0.92 * size_px  # leaves a margin for the line
    shrink = min(1, room / (high - low).max())
    slack = (room - shrink * (high - low)) / 2
    centre = size_px / 2 + slack * rng.uniform(-1, 1, 2)
    return [(centre + shrink * (p - (low + high) / 2), adds) for p, adds in parts]


def bend(
    parts: Parts, rng: np.random.Generator, amount: float, frequency: float
) -> Parts:
    """Returns the silhouette displaced by two random sine waves along each axis.

    Args:
      parts: The silhouette, in any unit.
      rng: Draws the waves' directions, frequencies and phases.
      amount: Each wave's amplitude, in that unit.
      frequency: Standard deviation of the waves' angular frequency, per unit.
    """
    wave = rng.normal(0, frequency, (2, 2, 2))
    phase = rng.uniform(0, 2 * np.pi, (2, 2))
    return [
        (p + amount * np.sin(np.einsum("pc,cwk->pwk", p, wave) + phase).sum(1), adds)
        for p, adds in parts
    ]


def noise(
    rng: np.random.Generator, size_px: int, cells: tuple[float, float]
) -> np.ndarray:
    """Returns smooth Gaussian noise of about unit variance, float32 [size_px, size_px].

    Args:
      rng: Draws one value a cell.
      size_px: Side of the result.
      cells: Number of cells that fit down and across.
    """
    rows, columns = (max(2, round(n) + 1) for n in cells)
    grid = Image.fromarray(rng.standard_normal((rows, columns), dtype=np.float32))
    return np.asarray(grid.resize((size_px, size_px), Image.Resampling.BICUBIC))


def _edge(value: np.ndarray, width: float = 0.15) -> np.ndarray:
    """Returns 0 below zero, 1 above, with a soft step between."""
    return np.clip(value / width + 0.5, 0, 1)


def _triangle(value: np.ndarray) -> np.ndarray:
    """Returns the triangle wave of period 1, -1..1."""
    return 4 * np.abs(value - np.floor(value + 0.5)) - 1


def _stripes(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _edge(_triangle(u), 0.5)


def _zigzag(u, v, rng):
    return _edge(_triangle(u + 0.3 * _triangle(0.7 * v)), 0.5)


def _checks(u, v, rng):
    return _edge(_triangle(0.7 * u) * _triangle(0.7 * v), 0.2)


def _dots(u, v, rng):
    row = np.floor(v)
    du, dv = (u + row / 2) % 1 - 0.5, v - row - 0.5
    return _edge(0.34**2 - du * du - dv * dv, 0.08)


def _scales(u, v, rng):
    # Rows of discs, each lying over the next one: the rim shows, darkest at the edge.
    u, v = 0.75 * u, 1.3 * v
    rim = np.ones_like(u)
    for back in (1, 0):
        row = np.floor(v) + back
        du, dv = (u + row / 2) % 1 - 0.5, v - row
        radius = np.sqrt(du * du + (0.62 * dv) ** 2)
        inside = radius < 0.6
        rim = np.where(inside, np.clip((0.6 - radius) / 0.4, 0, 1), rim)
    return rim


def _bricks(u, v, rng):
    row = np.floor(v)
    upright = 1 - np.abs((u + row) % 2 - 1)
    return _edge(np.minimum(upright, 0.5 - np.abs(v - row - 0.5)) - 0.1, 0.1)


def _blotches(u, v, rng):
    cells = 1.3 * float(np.ptp(u))
    return _edge(noise(rng, len(u), (cells, cells)), 0.4)


def _grain(u, v, rng):
    # Noise looked up along the rotated axes, long cells along u. Four entries a cell
    # are fine enough to look up the nearest one.
    row, column = 16 * (v - v.min()), 3 * (u - u.min())
    side = int(max(row.max(), column.max())) + 1
    table = noise(rng, side, (side / 4, side / 4))
    return _edge(table[row.astype(np.intp), column.astype(np.intp)], 1.2)


PATTERNS: dict[str, Callable] = {
    "zigzag": _zigzag,
    "stripes": _stripes,
    "blotches": _blotches,
    "dots": _dots,
    "scales": _scales,
    "bricks": _bricks,
    "checks": _checks,
    "grain": _grain,
}


def pattern(
    name: str, rng: np.random.Generator, size_px: int, warp: float = 0.0
) -> np.ndarray:
    """Returns a texture at a random orientation, frequency and phase.

    Args:
      name: A key of `PATTERNS`.
      rng: Draws the angle, the period, the phase and the noise.
      size_px: Side of the result.
      warp: How far the pattern is bent, in periods.

    Returns:
      float32 [size_px, size_px], 0..1.
    """
    angle, period, pu, pv = rng.uniform(
        (-0.5, 1 / 9, 0, 0), (0.5, 1 / 7.5, 64, 64)
    ).astype(np.float32)
    n = 2 * size_px
    y, x = np.mgrid[:n, :n].astype(np.float32) / n
    u = (np.cos(angle) * x + np.sin(angle) * y) / period + pu
    v = (np.cos(angle) * y - np.sin(angle) * x) / period + pv
    if warp:
        u = u + warp * noise(rng, n, (4, 4))
        v = v + warp * noise(rng, n, (4, 4))
    fine = PATTERNS[name](u, v, rng)
    # Four slices: several times faster than a mean over reshaped axes.
    corners = (fine[i::2, j::2] for i in (0, 1) for j in (0, 1))
    return (sum(corners) / 4).astype(np.float32)
