"""The outlines of which objects and clutter consist: points, float, N×2, x right, y up."""

import numpy as np

CURVE_POINTS = 28


def polygon(*points: tuple[float, float]) -> np.ndarray:
    """The outline through the given points, N×2."""
    return np.array(points, dtype=float)


def box(left: float, bottom: float, right: float, top: float) -> np.ndarray:
    """An upright rectangle, 4×2."""
    return polygon((left, bottom), (right, bottom), (right, top), (left, top))


def trapezoid(bottom: float, bottom_width: float, top: float, top_width: float) -> np.ndarray:
    """A trapezoid symmetrical about x = 0, 4×2."""
    return polygon(
        (-bottom_width / 2, bottom),
        (bottom_width / 2, bottom),
        (top_width / 2, top),
        (-top_width / 2, top),
    )


def bar(start: tuple[float, float], end: tuple[float, float], width: float) -> np.ndarray:
    """A straight stroke of the given width between two points, 4×2."""
    first, last = np.array(start, dtype=float), np.array(end, dtype=float)
    along = (last - first) / np.hypot(*(last - first))
    across = np.array([-along[1], along[0]]) * width / 2
    return np.stack([first + across, last + across, last - across, first - across])


def ellipse(
    x: float, y: float, radius_x: float, radius_y: float | None = None, turn: float = 0.0
) -> np.ndarray:
    """An ellipse (a disc without `radius_y`) around (x, y), turned by `turn` radians."""
    angles = np.linspace(0, 2 * np.pi, CURVE_POINTS, endpoint=False)
    radius_y = radius_x if radius_y is None else radius_y
    points = np.stack([radius_x * np.cos(angles), radius_y * np.sin(angles)], axis=1)
    cosine, sine = np.cos(turn), np.sin(turn)
    return points @ np.array([[cosine, sine], [-sine, cosine]]) + np.array([x, y])


def arc(x: float, y: float, radius: float, width: float, start: float, end: float) -> np.ndarray:
    """A bent stroke around (x, y) from angle `start` to angle `end`, in radians."""
    angles = np.linspace(start, end, CURVE_POINTS)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outer, inner = directions * (radius + width / 2), directions * (radius - width / 2)
    return np.concatenate([outer, inner[::-1]]) + np.array([x, y])


def blob(rng: np.random.Generator, x: float, y: float, radius: float, wobble: float) -> np.ndarray:
    """A closed curve around (x, y) whose radius varies by up to a share `wobble`, N×2."""
    angles = np.linspace(0, 2 * np.pi, CURVE_POINTS, endpoint=False)
    waves = sum(
        np.sin(lobes * angles + phase)
        for lobes, phase in zip((2, 3, 5), rng.uniform(0, 2 * np.pi, 3), strict=True)
    )
    radii = radius * (1 + wobble * waves / 3)
    return np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1)
