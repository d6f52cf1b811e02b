"""One scene: a dark object of random hue on a lighter textured ground, amid clutter.

What could give the class or the orientation away cheaply is random: hues, textures (of any
direction), size, position, mirroring, contrast, noise, other shapes behind and before the object.
There is no horizon, no light from above, no shadow: only the object has an upright. The ground is
always lighter than the object, since with random signs of all edges nothing is learnt in minutes.
"""

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from data.scenes.objects import DETAIL, MAIN, OBJECTS, SECOND
from data.scenes.outlines import arc, bar, blob, ellipse
from data.scenes.textures import colour, texture

SIZE = 96
OVERSAMPLING = 2
CLASSES = tuple(OBJECTS)
SPLITS = ("train", "test")

Colour = tuple[int, int, int]


def draw(seed: int, index: int, split: str) -> tuple[Image.Image, int]:
    """Draw scene number `index` of a split.

    The classes take turns, so that every ten successive scenes hold each class once. The same
    arguments give the same pixels on every run.

    Returns:
        The image, RGB, 96×96, and its label, an index into `CLASSES`.

    Raises:
        ValueError: the split is unknown, or the seed or the index is negative.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r} of scenes; one of {', '.join(SPLITS)}")
    if seed < 0 or index < 0:
        raise ValueError(f"seed and index of a scene must not be negative, got {seed} and {index}")
    label = index % len(CLASSES)
    rng = np.random.default_rng((seed, SPLITS.index(split), index))

    centre, half = _place(rng)
    image = _ground(rng)
    _paint(image, _clutter(rng))
    _paint(image, _object(rng, CLASSES[label], centre, half), _shading(rng))
    _paint(image, _occlusion(rng, centre, half))
    return _expose(rng, image), label


def _place(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """The middle of the object and half its side, in shares of the image's side."""
    half = rng.uniform(0.22, 0.40)
    room = 0.5 - half + 0.06
    return rng.uniform(0.5 - room, 0.5 + room, 2), half


def _ground(rng: np.random.Generator) -> Image.Image:
    base = colour(rng, rng.uniform(0.48, 0.82), rng.uniform(0.05, 0.4))
    other = colour(rng, rng.uniform(0.48, 0.88), rng.uniform(0.05, 0.4))
    share = (0.5 + 0.5 * texture(rng, SIZE))[..., None]
    pixels = base + share * (other - base) * rng.uniform(0.5, 1)
    pixels = pixels + rng.uniform(0.03, 0.14) * texture(rng, SIZE)[..., None]
    return Image.fromarray(_to_bytes(pixels))


def _object(
    rng: np.random.Generator, name: str, centre: np.ndarray, half: float
) -> list[tuple[np.ndarray, Colour]]:
    """The outlines of an object in shares of the image's side, y down, and their colours."""
    palette = {
        MAIN: _rgb(colour(rng, rng.uniform(0.06, 0.3), rng.uniform(0.1, 0.6))),
        SECOND: _rgb(colour(rng, rng.uniform(0.06, 0.3), rng.uniform(0.1, 0.6))),
        DETAIL: _rgb(colour(rng, rng.uniform(0.3, 0.5), rng.uniform(0.1, 0.6))),
    }
    parts = OBJECTS[name](rng)
    points = np.concatenate([part.outline for part in parts])
    low, high = points.min(axis=0), points.max(axis=0)
    mirror = rng.choice([-1, 1])
    stretch = rng.uniform(0.8, 1.25)
    tilt = np.deg2rad(rng.uniform(-15, 15))
    scale = 2 * half / (high - low).max()
    matrix = np.array([[np.cos(tilt), np.sin(tilt)], [np.sin(tilt), -np.cos(tilt)]])
    matrix = scale * matrix * (mirror * stretch, 1 / stretch)
    return [
        ((part.outline - (low + high) / 2) @ matrix.T + centre, palette[part.colour])
        for part in parts
    ]


def _clutter(rng: np.random.Generator) -> list[tuple[np.ndarray, Colour]]:
    """Shapes without an upright, anywhere behind the object."""
    return [
        (_shape(rng, rng.uniform(0, 1, 2), rng.uniform(0.03, 0.1)), _any_colour(rng))
        for _ in range(rng.integers(5, 12))
    ]


def _occlusion(
    rng: np.random.Generator, centre: np.ndarray, half: float
) -> list[tuple[np.ndarray, Colour]]:
    """Up to two shapes before the object, each hiding a small part of it."""
    shapes = []
    for _ in range(rng.integers(0, 3)):
        direction = rng.uniform(0, 2 * np.pi)
        position = centre + half * rng.uniform(0.3, 1.1) * np.array(
            [np.cos(direction), np.sin(direction)]
        )
        shapes.append((_shape(rng, position, half * rng.uniform(0.1, 0.25)), _any_colour(rng)))
    return shapes


def _shape(rng: np.random.Generator, centre: np.ndarray, radius: float) -> np.ndarray:
    """A disc, a blob, a regular polygon, a bar or a ring, in any direction."""
    kind = rng.integers(5)
    turn = rng.uniform(0, 2 * np.pi)
    if kind == 0:
        return ellipse(*centre, radius, radius * rng.uniform(0.5, 1), turn)
    if kind == 1:
        return blob(rng, *centre, radius, 0.4)
    if kind == 2:
        angles = turn + np.linspace(0, 2 * np.pi, int(rng.integers(3, 7)), endpoint=False)
        return centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if kind == 3:
        reach = 1.5 * radius * np.array([np.cos(turn), np.sin(turn)])
        return bar(centre - reach, centre + reach, radius * rng.uniform(0.25, 0.6))
    length = rng.uniform(2, 2 * np.pi)
    return arc(*centre, radius * 0.8, radius * rng.uniform(0.2, 0.4), turn, turn + length)


def _any_colour(rng: np.random.Generator) -> Colour:
    """A colour of clutter: as dark as the objects, or anything up to white, with equal chances."""
    darkest, lightest = (0.06, 0.35) if rng.random() < 0.5 else (0.3, 0.95)
    return _rgb(colour(rng, rng.uniform(darkest, lightest), rng.uniform(0.1, 0.6)))


def _shading(rng: np.random.Generator) -> Image.Image:
    """What the object's colours are multiplied with: a texture of its own."""
    depth = rng.uniform(0.1, 0.5)
    pixels = 1 - depth * (0.5 + 0.5 * texture(rng, SIZE))
    return Image.fromarray(_to_bytes(np.repeat(pixels[..., None], 3, axis=2)))


def _paint(
    image: Image.Image,
    outlines: list[tuple[np.ndarray, Colour]],
    shading: Image.Image | None = None,
) -> None:
    """Paint outlines (in shares of the image's side, y down) onto the image, smoothed."""
    side = SIZE * OVERSAMPLING
    layer = Image.new("RGBA", (side, side))
    canvas = ImageDraw.Draw(layer)
    for outline, rgb in outlines:
        canvas.polygon((outline * side).ravel().tolist(), fill=(*rgb, 255))
    layer = layer.reduce(OVERSAMPLING)
    content = layer.convert("RGB")
    if shading is not None:
        content = ImageChops.multiply(content, shading)
    image.paste(content, mask=layer.getchannel("A"))


def _expose(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Random contrast, brightness and noise."""
    pixels = np.asarray(image, dtype=np.float32) / 255
    pixels = 0.5 + rng.uniform(0.75, 1.1) * (pixels - 0.5) + rng.uniform(-0.06, 0.06)
    noise = rng.standard_normal((SIZE, SIZE, 3), dtype=np.float32)
    return Image.fromarray(_to_bytes(pixels + rng.uniform(0.01, 0.04) * noise))


def _rgb(values: np.ndarray) -> Colour:
    red, green, blue = _to_bytes(values)
    return int(red), int(green), int(blue)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)
