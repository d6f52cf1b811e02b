"""Textures without a preferred direction, and colours of a chosen luminance."""

import colorsys

import numpy as np
from PIL import Image

LUMINANCE = np.array([0.299, 0.587, 0.114])


def colour(rng: np.random.Generator, luminance: float, saturation: float) -> np.ndarray:
    """A colour of random hue and exactly the given luminance, float RGB in [0, 1].

    The saturation is reduced where the colour would leave that range.
    """
    pure = np.array(colorsys.hsv_to_rgb(rng.random(), 1.0, 1.0))
    chroma = pure - LUMINANCE @ pure
    room = np.where(chroma > 0, 1 - luminance, luminance) / np.maximum(np.abs(chroma), 1e-6)
    return luminance + min(saturation, room.min()) * chroma


def texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """One of five textures in any direction and scale, float32 in [-1, 1], size×size."""
    kind = rng.integers(5)
    if kind == 0:
        return _clouds(rng, size, cells=int(rng.integers(3, 9)))
    if kind == 1:
        return _clouds(rng, size, cells=int(rng.integers(12, 33)))
    angle = rng.uniform(0, 2 * np.pi)
    waves = rng.uniform(4, 14) * 2 * np.pi / size
    ramp = np.arange(size, dtype=np.float32) * waves
    along = np.cos(angle) * ramp[None, :] + np.sin(angle) * ramp[:, None] + rng.uniform(0, 6.3)
    if kind == 2:
        return np.sin(along)
    across = np.cos(angle) * ramp[:, None] - np.sin(angle) * ramp[None, :] + rng.uniform(0, 6.3)
    if kind == 3:
        return np.sign(np.sin(along)) * np.sign(np.sin(across))
    return np.sin(along) * np.sin(across)


def _clouds(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Smooth noise: cells×cells random values, interpolated to size×size."""
    values = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    image = Image.fromarray(values).resize((size, size), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(image), -1, 1)
