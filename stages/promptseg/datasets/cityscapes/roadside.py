"""Objects along a street: trees, lamp posts, traffic signs and lights, bins, people and riders."""

import numpy as np

from promptseg.datasets.cityscapes.view import (
    BICYCLE,
    FOCAL,
    HEIGHT,
    LIGHT,
    PERSON,
    POLE,
    RIDER,
    SIGN,
    STATIC,
    VEGETATION,
    WIDTH,
    View,
    noise,
)

GREENS = np.array([(66, 82, 44), (82, 96, 50), (50, 68, 44), (98, 98, 54)], np.float32)
SKINS = np.array([(214, 172, 146), (188, 142, 112), (136, 96, 72), (92, 66, 52)], np.float32)
STEEL, BARK = np.array((112, 114, 114), np.float32), np.array((74, 66, 58), np.float32)
RED, BLUE = np.array((186, 34, 38), np.float32), np.array((36, 74, 156), np.float32)
WHITE, YELLOW = np.array((226, 226, 222), np.float32), np.array((224, 178, 40), np.float32)


def tree(rng: np.random.Generator, view: View, x: float, z: float, light: float) -> None:
    """A tree of 5 to 11 m: a trunk, and a crown of clumps of leaves with sky between them."""
    tall = rng.uniform(5, 11)
    wide, bare = tall * rng.uniform(0.22, 0.36), tall * rng.uniform(0.2, 0.36)
    trunk = tall * 0.028
    view.limb(x, z, (0, 0), (rng.normal(0, 0.15), bare + 1), (trunk * 1.3, trunk), BARK * light, VEGETATION)
    view.shadow([(x + wide * a, 0, z + wide * b) for a, b in ((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8))],
                0.3, 3)  # fmt: skip
    scale = FOCAL / z
    middle = view.project([(x, (tall + bare) / 2, z)])[0]
    half = np.array([wide, (tall - bare) / 2]) * scale
    left, top = np.maximum(np.floor(middle - 1.35 * half).astype(int), 0)
    right, bottom = np.minimum(np.ceil(middle + 1.35 * half).astype(int), (WIDTH, HEIGHT))
    if right - left < 2 or bottom - top < 2:
        return
    across = (np.arange(left, right, dtype=np.float32) + 0.5 - middle[0]) / half[0]
    up = (middle[1] - np.arange(top, bottom, dtype=np.float32) - 0.5)[:, None] / half[1]
    size = (bottom - top, right - left)
    clumps, leaves = noise(rng, *size, max(0.55 * half[0], 3), 3), noise(rng, *size, max(0.12 * scale, 2), 2)
    body = 1 - across**2 - np.where(up < 0, 1.25, 1.0) * up**2 + 0.24 * clumps + 0.12 * leaves
    crown = body > 0.16
    shade = 0.85 + 0.25 * up + 0.2 * across * view.side * view.sunlight + 0.17 * clumps + 0.2 * leaves
    color = GREENS[rng.integers(len(GREENS))] * rng.uniform(0.8, 1.15) * (0.75 + 0.25 * light)
    part = np.s_[top:bottom, left:right]
    view.image[part][crown] = np.clip(view.haze(color * np.clip(shade, 0.25, 1.7)[..., None], z), 0, 255)[crown]
    view.labels[part][crown] = VEGETATION


def lamp(rng: np.random.Generator, view: View, x: float, z: float, light: float) -> None:
    """A lamp post whose arm reaches over the road."""
    tall, arm = rng.uniform(6, 8.5), -np.sign(x) * rng.uniform(0.8, 2)
    view.limb(x, z, (0, 0), (0, tall), (0.17, 0.1), STEEL * light, POLE)
    view.limb(x, z, (0, tall), (arm, tall + 0.4), (0.1, 0.08), STEEL * light, POLE)
    view.limb(x, z, (arm * 0.8, tall + 0.38), (arm * 1.25, tall + 0.4), (0.16, 0.2), STEEL * 1.3, POLE)


def sign(rng: np.random.Generator, view: View, x: float, z: float, light: float) -> None:
    """A pole with one or two traffic signs, towards the camera or from behind."""
    view.limb(x, z, (0, 0), (0, 2.9), (0.075, 0.075), STEEL * light, POLE)
    bright = 0.55 + 0.45 * light
    for height in (2.6, 1.95)[: rng.integers(1, 3)]:
        kind, r = rng.integers(6), rng.uniform(0.28, 0.36)
        place = (0, height)
        if kind == 0:  # a ban
            view.disc(x, z, place, r, RED * bright, SIGN)
            view.disc(x, z, place, r * 0.68, WHITE * bright, SIGN)
        elif kind == 1:  # an order
            view.disc(x, z, place, r, BLUE * bright, SIGN)
            view.limb(x, z, (-0.12, height - 0.1), (0.12, height + 0.1), (0.08, 0.08), WHITE * bright, SIGN)
        elif kind == 2:  # a warning, or give way
            tip = rng.choice((-1, 1))
            for size, color in ((r * 1.15, RED), (r * 0.7, WHITE)):
                base = height - tip * size * 0.7
                points = [(-size, base), (size, base), (0, height + tip * size)]
                view.upright(x, z, points, color * bright, SIGN)
        elif kind == 3:  # parking, a crossing
            view.upright(x, z, _square(0, height, r, r), BLUE * bright, SIGN)
            view.upright(x, z, _square(0, height, r * 0.45, r * 0.6), WHITE * bright, SIGN)
        elif kind == 4:  # right of way
            for size, color in ((r * 1.1, WHITE), (r * 0.8, YELLOW)):
                points = [(-size, height), (0, height + size), (size, height), (0, height - size)]
                view.upright(x, z, points, color * bright, SIGN)
        else:
            view.disc(x, z, place, r, STEEL * 0.9 * light, SIGN)


def traffic_light(rng: np.random.Generator, view: View, x: float, z: float, light: float) -> None:
    """A traffic light on its pole; one lamp of three is lit."""
    view.limb(x, z, (0, 0), (0, 3.4), (0.14, 0.12), STEEL * light, POLE)
    view.upright(x, z, _square(0, 2.95, 0.2, 0.5), (24, 28, 26), LIGHT)
    lit = rng.integers(3)
    for number, color in enumerate(((250, 60, 44), (250, 186, 50), (70, 232, 150))):
        place = (0, 3.25 - 0.3 * number)
        view.disc(x, z, place, 0.11, np.array(color) if number == lit else (44, 46, 44), LIGHT, sides=8)


def cabinet(rng: np.random.Generator, view: View, x: float, z: float, light: float) -> None:
    """A bin or a power box: static objects without a class of their own."""
    tall, wide = rng.uniform(0.9, 1.4), rng.uniform(0.25, 0.5)
    color = rng.choice((rng.uniform(60, 130, 3), np.array((72, 92, 62)), np.array((40, 42, 44)))) * light
    view.upright(x, z, _square(0, tall / 2, wide, tall / 2), color, STATIC)
    view.upright(x, z, _square(0, tall - 0.05, wide * 1.05, 0.05), color * 0.7, STATIC)


def person(rng: np.random.Generator, view: View, x: float, z: float, light: float, riding: bool = False) -> None:
    """A pedestrian; riding: a rider, on a bicycle seen from the front or from behind."""
    label, tall = (RIDER if riding else PERSON), rng.uniform(1.55, 1.9) * (0.7 if rng.random() < 0.08 else 1)
    coat, trousers = (_cloth(rng) * light for _ in range(2))
    skin, hair = SKINS[rng.integers(4)] * light, rng.choice(((34, 28, 24), (92, 70, 46), (150, 140, 130))) * light
    view.shadow([(x - 0.3, 0, z - 0.2), (x + 0.3, 0, z - 0.2), (x + 0.3, 0, z + 0.3), (x - 0.3, 0, z + 0.3)], 0.45, 1.0)
    lift = 0.0
    if riding:
        lift = 0.22
        view.limb(x, z, (0, 0), (0, 0.72), (0.09, 0.07), (30, 30, 32), BICYCLE)
        view.limb(x, z, (-0.28, 1.02), (0.28, 1.02), (0.05, 0.05), (44, 44, 46), BICYCLE)
    stride, turn = rng.uniform(-0.16, 0.16), rng.choice((-1, 1))
    hip, neck = np.array((0, 0.5 * tall + lift)), np.array((0.02 * turn, 0.83 * tall + lift))
    for s, dark in ((-1, 0.75), (1, 1.0)):
        rise = 0.1 * (1 + s) if riding else lift
        foot = hip + (s * ((0.09 if riding else 0.06) + stride), rise - 0.5 * tall)
        knee = (hip + foot) / 2 + (0.04 * turn, 0.02)
        start = hip + (s * 0.07, 0)
        view.limb(x, z, start, knee, (0.19, 0.14), trousers * dark, label)
        view.limb(x, z, knee, foot, (0.14, 0.1), trousers * dark, label)
        view.limb(x, z, foot, foot + (0.1 * turn, 0.03), (0.08, 0.07), (30, 28, 28), label)
    hem = hip - (0, rng.choice((0.02, 0.02, 0.2)) * tall)
    shoulder = 0.125 * tall
    body = [hem - (0.17, 0), hem + (0.17, 0), neck + (shoulder, -0.03), neck + (0.05, 0.02), neck - (0.05, -0.02),
            neck - (shoulder, 0.03)]  # fmt: skip
    view.upright(x, z, body, coat, label)
    dark = [body[0], hem, neck, body[5]] if view.side > 0 else [hem, body[1], body[2], neck]
    view.upright(x, z, dark, coat * 0.8, label)
    for s in (-1, 1):
        hand = hip + (s * (0.22 if not riding else 0.25), rng.uniform(-0.05, 0.06) + (0.12 if riding else 0))
        elbow = neck + (s * (shoulder + 0.05), -0.17 * tall)
        view.limb(x, z, neck + (s * (shoulder - 0.02), -0.04), elbow, (0.12, 0.1), coat * 0.9, label)
        view.limb(x, z, elbow, hand, (0.1, 0.07), coat * 0.9, label)
        view.disc(x, z, hand, 0.04, skin, label, sides=6)
    if rng.random() < 0.3:
        view.upright(x, z, _square(0.2 * turn, hip[1] + 0.02, 0.09, 0.14), rng.uniform(20, 160, 3) * light, label)
    head = neck + (0, 0.075 * tall)
    view.limb(x, z, neck - (0, 0.03), head, (0.1, 0.09), skin * 0.8, label)
    view.disc(x, z, head + (0, 0.02), 0.068 * tall, hair, label, sides=10)
    if rng.random() < 0.6:
        view.disc(x, z, head + (0.02 * turn, -0.02), 0.05 * tall, skin, label, sides=8)


def _cloth(rng: np.random.Generator) -> np.ndarray:
    """Mostly dull and dark, at times bright."""
    gray, color = rng.uniform(20, 170 if rng.random() < 0.4 else 70), rng.uniform(20, 200, 3)
    return gray + (color - gray) * rng.choice((0.15, 0.3, 0.8))


def _square(x: float, y: float, wide: float, tall: float) -> list[tuple[float, float]]:
    return [(x - wide, y - tall), (x + wide, y - tall), (x + wide, y + tall), (x - wide, y + tall)]
