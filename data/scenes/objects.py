"""The ten kinds of object of the scenes: things with a natural upright, each a function of chance.

A drawing is a list of `Part`s, painted in order. Its coordinates are about [-1, 1] in both
directions, x right and y up; the scene scales, mirrors, tilts and colours it. Proportions and
details vary from drawing to drawing, so that an object is known by its structure alone.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from data.scenes.outlines import arc, bar, blob, box, ellipse, polygon, trapezoid

MAIN, SECOND, DETAIL = range(3)
"""The colours of an object: of its body, of a second part, of small details (the lightest)."""


class Part(NamedTuple):
    """One outline (N×2) and its colour: MAIN, SECOND or DETAIL."""

    outline: np.ndarray
    colour: int


def house(rng: np.random.Generator) -> list[Part]:
    """Walls under a gabled roof, with a door, windows and often a chimney."""
    half = rng.uniform(0.6, 0.85)
    eaves = rng.uniform(-0.1, 0.3)
    ridge = rng.uniform(0.75, 1.0)
    overhang = rng.uniform(0.05, 0.18)
    parts = []
    if rng.random() < 0.7:
        x = rng.uniform(0.3, 0.6) * half
        parts.append(Part(box(x - 0.1, eaves, x + 0.1, ridge + rng.uniform(-0.1, 0.1)), MAIN))
    roof = polygon((-half - overhang, eaves), (half + overhang, eaves), (0, ridge))
    if rng.random() < 0.5:
        top = rng.uniform(0.2, 0.45)
        roof = polygon(*roof[:2], (top, ridge), (-top, ridge))
    parts += [Part(box(-half, -0.9, half, eaves), MAIN), Part(roof, SECOND)]
    door = rng.uniform(-0.4, 0.4) * half
    parts.append(Part(box(door - 0.13, -0.9, door + 0.13, rng.uniform(-0.5, -0.35)), SECOND))
    for x in (-0.62 * half, 0.62 * half):
        if abs(x - door) > 0.3:
            parts.append(Part(box(x - 0.13, eaves - 0.5, x + 0.13, eaves - 0.22), DETAIL))
    return parts


def tree(rng: np.random.Generator) -> list[Part]:
    """A broad crown of leaves on a trunk."""
    width, fork = rng.uniform(0.16, 0.26), rng.uniform(-0.25, 0.05)
    trunk = polygon((-width, -1), (width, -1), (width / 2, fork), (-width / 2, fork))
    parts = [Part(trunk, SECOND)]
    for side in (-1, 1):
        end = (side * rng.uniform(0.3, 0.5), fork + rng.uniform(0.25, 0.4))
        parts.append(Part(bar((0, fork - 0.2), end, width * 0.6), SECOND))
    spread = rng.uniform(0.3, 0.48)
    parts.append(Part(blob(rng, 0, 0.4, 0.5, 0.15), MAIN))
    for x, y in ((-spread, 0.25), (spread, 0.25), (-spread / 2, 0.62), (spread / 2, 0.62)):
        parts.append(Part(blob(rng, x, y, rng.uniform(0.27, 0.38), 0.15), MAIN))
    return parts


def fir(rng: np.random.Generator) -> list[Part]:
    """Triangles that grow smaller towards the top, on a short trunk."""
    tiers = int(rng.integers(2, 5))
    width, taper = rng.uniform(0.5, 0.75), rng.uniform(0.35, 0.55)
    bottom = rng.uniform(-0.75, -0.6)
    edges = np.linspace(bottom, 1, tiers + 1)
    parts = [Part(box(-0.11, -1, 0.11, bottom), SECOND)]
    for tier in range(tiers):
        half = width * (1 - tier / tiers * (1 - taper) * 1.3)
        top = min(edges[tier + 1] + 0.35, 1)
        parts.append(Part(polygon((-half, edges[tier]), (half, edges[tier]), (0, top)), MAIN))
    return parts


def car(rng: np.random.Generator) -> list[Part]:
    """A body with a cabin on top and two wheels below, seen from the side."""
    sill, belt = -0.3, rng.uniform(-0.02, 0.12)
    roof = belt + rng.uniform(0.32, 0.5)
    back, front = rng.uniform(-0.85, -0.45), rng.uniform(0.25, 0.5)
    lean = rng.uniform(0.12, 0.3)
    cabin = polygon((back - 0.08, belt), (front + lean, belt), (front, roof), (back, roof))
    middle = rng.uniform(-0.25, 0.0)
    pane_top, pane_bottom = roof - 0.09, belt + 0.02
    rear = polygon(
        (back + 0.05, pane_bottom),
        (middle - 0.05, pane_bottom),
        (middle - 0.05, pane_top),
        (back + 0.09, pane_top),
    )
    screen = polygon(
        (middle + 0.05, pane_bottom),
        (front + lean * 0.75, pane_bottom),
        (front - 0.05, pane_top),
        (middle + 0.05, pane_top),
    )
    body = polygon(
        (-1, sill), (1, sill), (1, belt - 0.14), (0.93, belt - 0.03), (0.6, belt + 0.03), (-1, belt)
    )
    parts = [Part(body, MAIN), Part(cabin, MAIN), Part(rear, DETAIL), Part(screen, DETAIL)]
    radius = rng.uniform(0.2, 0.27)
    for x in (rng.uniform(-0.65, -0.5), rng.uniform(0.5, 0.62)):
        parts += [
            Part(ellipse(x, sill, radius), SECOND),
            Part(ellipse(x, sill, radius * 0.45), DETAIL),
        ]
    return parts


def boat(rng: np.random.Generator) -> list[Part]:
    """A hull with a mast and one or two sails."""
    deck, keel = rng.uniform(-0.5, -0.35), rng.uniform(-0.95, -0.85)
    bow = rng.uniform(0.85, 1.0)
    hull = polygon((-0.85, deck), (bow, deck + 0.06), (rng.uniform(0.45, 0.6), keel), (-0.6, keel))
    mast = rng.uniform(-0.15, 0.15)
    boom = deck + rng.uniform(0.08, 0.18)
    parts = [
        Part(bar((mast, deck), (mast, 1), 0.08), SECOND),
        Part(hull, MAIN),
        Part(polygon((mast - 0.06, boom), (mast - 0.06, 0.95), (-0.8, boom)), SECOND),
    ]
    if rng.random() < 0.75:
        foot = rng.uniform(0.55, 0.8)
        top = rng.uniform(0.6, 0.9)
        parts.append(Part(polygon((mast + 0.07, boom), (mast + 0.07, top), (foot, boom)), DETAIL))
    if rng.random() < 0.5:
        parts.append(Part(bar((-0.75, deck - 0.12), (bow * 0.85, deck - 0.08), 0.07), DETAIL))
    return parts


def person(rng: np.random.Generator) -> list[Part]:
    """A standing figure: head, trunk or dress, two arms, two legs."""
    shoulder, hip = 0.45, rng.uniform(-0.2, -0.05)
    half = rng.uniform(0.2, 0.3)
    parts = []
    for side in (-1, 1):
        foot = (side * rng.uniform(0.15, 0.42), -1)
        parts.append(Part(bar((side * 0.13, hip + 0.1), foot, 0.2), SECOND))
        angle = rng.uniform(-1.2, 0.9)
        elbow = (side * (half + 0.25 * np.cos(angle)), shoulder - 0.08 + 0.3 * np.sin(angle))
        angle += rng.uniform(-0.2, 0.7)
        hand = (elbow[0] + side * 0.25 * np.cos(angle), elbow[1] + 0.28 * np.sin(angle))
        parts.append(Part(bar((side * half * 0.7, shoulder - 0.08), elbow, 0.15), MAIN))
        parts.append(Part(bar(elbow, hand, 0.13), DETAIL))
    if rng.random() < 0.4:
        trunk = trapezoid(hip - rng.uniform(0.15, 0.35), rng.uniform(0.8, 1.1), shoulder, 2 * half)
    else:
        trunk = trapezoid(hip, 1.7 * half, shoulder, 2 * half)
    head = rng.uniform(0.2, 0.25)
    parts += [Part(trunk, MAIN), Part(box(-0.07, shoulder, 0.07, 0.6), DETAIL)]
    parts.append(Part(ellipse(0, 0.74, head * 0.9, head), DETAIL))
    if rng.random() < 0.6:
        parts.append(Part(arc(0, 0.74, head * 0.85, head * 0.5, 0.1, np.pi - 0.1), SECOND))
    return parts


def flower(rng: np.random.Generator) -> list[Part]:
    """A ring of petals on a stem with leaves."""
    bend = rng.uniform(-0.2, 0.2)
    head = (bend, rng.uniform(0.42, 0.55))
    parts = [Part(bar((0, -1), head, 0.1), SECOND)]
    for side in (-1, 1):
        root = rng.uniform(-0.95, -0.65)
        turn = rng.uniform(0.5, 0.9)
        x, y = side * 0.3 * np.cos(turn), root + 0.3 * np.sin(turn)
        leaf = ellipse(x, y, rng.uniform(0.3, 0.4), rng.uniform(0.1, 0.15), side * turn)
        parts.append(Part(leaf, SECOND))
    petals = int(rng.integers(5, 9))
    reach, start = rng.uniform(0.27, 0.34), rng.uniform(0, np.pi)
    for turn in start + np.arange(petals) * 2 * np.pi / petals:
        x, y = head[0] + reach * np.cos(turn), head[1] + reach * np.sin(turn)
        parts.append(Part(ellipse(x, y, 0.21, 0.85 / petals, turn), MAIN))
    parts.append(Part(ellipse(*head, rng.uniform(0.15, 0.2)), DETAIL))
    return parts


def lamp(rng: np.random.Generator) -> list[Part]:
    """A table lamp: a shade that widens downwards, a stem, a foot."""
    rim = rng.uniform(-0.1, 0.2)
    shade = trapezoid(rim, rng.uniform(1.3, 1.7), rng.uniform(0.8, 1), rng.uniform(0.4, 0.7))
    foot = rng.uniform(0.35, 0.55)
    parts = [Part(box(-0.07, -0.95, 0.07, rim + 0.1), SECOND)]
    if rng.random() < 0.5:
        parts.append(Part(ellipse(0, -0.55, rng.uniform(0.2, 0.35), 0.3), SECOND))
    parts += [
        Part(trapezoid(-1, 2 * foot, -0.85, 1.4 * foot), SECOND),
        Part(shade, MAIN),
    ]
    if rng.random() < 0.6:
        lower, upper = shade[1], shade[2]
        for share in (0.12, 0.7):
            half = lower[0] + share * (upper[0] - lower[0])
            y = lower[1] + share * (upper[1] - lower[1])
            parts.append(Part(box(-half, y - 0.03, half, y + 0.05), DETAIL))
    return parts


def cat(rng: np.random.Generator) -> list[Part]:
    """A sitting cat: a pear-shaped body, a head with pointed ears, a raised tail."""
    head_x, head_y, head = rng.uniform(-0.12, 0.12), rng.uniform(0.35, 0.48), 0.33
    width = rng.uniform(0.4, 0.52)
    tail = arc(width, -0.5, rng.uniform(0.32, 0.42), 0.14, -1.7, rng.uniform(0.9, 1.9))
    parts = [
        Part(tail, MAIN),
        Part(ellipse(0, -0.55, width, 0.45), MAIN),
        Part(ellipse(head_x / 2, -0.15, width * 0.75, 0.45), MAIN),
    ]
    for side in (-1, 1):
        tip = (head_x + side * rng.uniform(0.26, 0.36), head_y + rng.uniform(0.45, 0.6))
        ear = polygon(
            (head_x + side * 0.34, head_y + 0.05), tip, (head_x + side * 0.03, head_y + 0.28)
        )
        parts.append(Part(ear, MAIN))
        parts.append(Part(ellipse(side * 0.17, -0.92, 0.15, 0.09), SECOND))
    parts.append(Part(ellipse(head_x, head_y, head * 1.1, head), MAIN))
    for side in (-1, 1):
        parts.append(Part(ellipse(head_x + side * 0.15, head_y + 0.05, 0.075, 0.09), DETAIL))
    parts.append(Part(ellipse(0, -0.4, 0.17, 0.3), SECOND))
    nose = polygon(
        (head_x - 0.07, head_y - 0.08), (head_x + 0.07, head_y - 0.08), (head_x, head_y - 0.17)
    )
    parts.append(Part(nose, SECOND))
    return parts


def cup(rng: np.random.Generator) -> list[Part]:
    """A cup with an open rim, a handle at one side and a saucer."""
    half, base = rng.uniform(0.5, 0.65), rng.uniform(0.28, 0.42)
    rim, bottom = rng.uniform(0.4, 0.65), -0.62
    middle = (rim + bottom) / 2 + 0.05
    handle = arc(half * 0.85, middle, rng.uniform(0.26, 0.33), 0.13, -1.7, 1.7)
    body = polygon(
        (-half, rim),
        (-half * 0.95, middle),
        (-base, bottom),
        (base, bottom),
        (half * 0.95, middle),
        (half, rim),
    )
    saucer = polygon((-0.9, -0.55), (0.9, -0.55), (0.5, -0.82), (-0.5, -0.82))
    parts = [
        Part(handle, MAIN),
        Part(saucer, SECOND),
        Part(body, MAIN),
        Part(ellipse(0, rim, half, 0.15), MAIN),
        Part(ellipse(0, rim, half * 0.86, 0.1), DETAIL),
    ]
    if rng.random() < 0.5:
        y = rng.uniform(-0.1, 0.1)
        parts.append(Part(box(-half * 0.85, y, half * 0.85, y + 0.14), SECOND))
    return parts


OBJECTS: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "house": house,
    "tree": tree,
    "fir": fir,
    "car": car,
    "boat": boat,
    "person": person,
    "flower": flower,
    "lamp": lamp,
    "cat": cat,
    "cup": cup,
}
