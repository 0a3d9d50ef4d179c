"""Sizes of decoded images: shrunk whole, or cut to a shape and resized."""

import numpy as np
from PIL import Image


def shrink(image: np.ndarray, shorter_px: int) -> np.ndarray:
    """Returns an image whose shorter side is at most `shorter_px`: uint8 [h, w, 3].

    Args:
      image: uint8 [H, W, 3].
      shorter_px: 0: the image stays as it is.
    """
    shorter = min(image.shape[:2])
    if not 0 < shorter_px < shorter:
        return image
    h, w = (round(side * shorter_px / shorter) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((w, h), Image.Resampling.LANCZOS))


def cover(image: np.ndarray, h: int, w: int) -> np.ndarray:
    """Returns an image's largest central part of sides h : w, resized: uint8 [h, w, 3].

    Args:
      image: uint8 [H, W, 3].
      h: Height.
      w: Width.
    """
    height, width, _ = image.shape
    scale = min(height / h, width / w)
    top, left = max(0, (height - h * scale) / 2), max(0, (width - w * scale) / 2)
    resized = Image.fromarray(image).resize(
        (w, h),
        Image.Resampling.BILINEAR,
        box=(left, top, min(width, left + w * scale), min(height, top + h * scale)),
        reducing_gap=3.0,
    )
    return np.asarray(resized)
