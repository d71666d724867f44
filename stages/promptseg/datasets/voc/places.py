"""Backgrounds and foregrounds of the rendered scenes.

PLACES: by name, a function that paints the background of a Canvas, and one that paints what occludes the objects.
"""

import numpy as np

from promptseg.datasets.voc.clutter import LOUD, clutter, pick
from promptseg.datasets.voc.paint import Canvas, Sketch, mix, noise, ramp, tone

_WALLS = ((0.78, 0.72, 0.62), (0.62, 0.68, 0.68), (0.7, 0.5, 0.42), (0.85, 0.83, 0.8), (0.5, 0.55, 0.42))
_SKIES = (  # color at the top and at the horizon: blue, overcast, evening
    ((0.3, 0.5, 0.82), (0.8, 0.88, 0.95)),
    ((0.72, 0.75, 0.78), (0.9, 0.9, 0.89)),
    ((0.5, 0.55, 0.7), (0.98, 0.8, 0.6)),
)
_FACADES = ((0.62, 0.42, 0.34), (0.75, 0.68, 0.56), (0.55, 0.56, 0.58), (0.82, 0.8, 0.76), (0.48, 0.36, 0.32))


def air(canvas: Canvas) -> None:
    """Sky and clouds, a rim of land at times, kites and balloons."""
    rng = canvas.rng
    _sky(canvas, 1.1)
    if rng.random() < 0.6:
        _hills(canvas, rng.uniform(0.84, 0.95), (0.25, 0.33, 0.2))
    for _ in range(rng.integers(1, 4)):
        x, y, loud = rng.uniform(0, canvas.width), rng.uniform(0.1, 0.85) * canvas.height, pick(rng, LOUD)
        thing = Sketch()
        if rng.random() < 0.5:
            thing.disc(0, 0.6, 0.32, 0.4, loud, relief=0.9)
            thing.poly([(-0.1, 0.2), (0.1, 0.2), (0.07, 0.05), (-0.07, 0.05)], (0.35, 0.25, 0.15))
        else:
            thing.poly([(0, 0), (0.3, 0.5), (0, 1), (-0.3, 0.5)], loud)
            thing.limb([(0, 0), (-0.1, -0.4), (0.1, -0.8)], 0.03, (0.3, 0.3, 0.3))
        canvas.draw(thing, x, y, rng.uniform(0.1, 0.2) * canvas.height, tilt=rng.uniform(-0.4, 0.4))


def branch(canvas: Canvas) -> None:
    """Leaves out of focus, and a branch across the image at three quarters of its height."""
    rng, h, w = canvas.rng, canvas.height, canvas.width
    first, second = (
        ((0.2, 0.3, 0.12), (0.62, 0.68, 0.4)) if rng.random() < 0.5 else ((0.35, 0.3, 0.25), (0.75, 0.72, 0.66))
    )
    canvas.lay(np.ones((h, w)), mix(first, second, noise(rng, h, w, 0.35 * h, 2)))
    for _ in range(14):
        spot = np.exp(
            -((canvas.x - rng.uniform(0, w)) ** 2 + (canvas.y - rng.uniform(0, h)) ** 2) / (2 * (0.07 * h) ** 2)
        )
        canvas.lay(0.6 * spot, np.array(tone(pick(rng, (first, second, (0.6, 0.4, 0.2))), 1.2), np.float32))
    wood = Sketch()
    wood.limb(
        [(-0.2, 0.02), (0.3, -0.02), (0.7, 0.015), (1.2, -0.03)],
        (0.07, 0.055, 0.05, 0.035),
        (0.36, 0.27, 0.2),
        grain=0.5,
    )
    wood.limb([(0.62, 0.0), (0.8, 0.12), (0.86, 0.3)], (0.03, 0.02, 0.01), (0.36, 0.27, 0.2), grain=0.5)
    canvas.draw(wood, 0, 0.76 * h, w)


def water(canvas: Canvas) -> None:
    """A lake or the sea with far hills, posts and buoys."""
    rng, h, w = canvas.rng, canvas.height, canvas.width
    edge = rng.uniform(0.35, 0.5)
    _sky(canvas, edge)
    _hills(canvas, edge, (0.3, 0.38, 0.32))
    depth = np.clip((canvas.y / h - edge) / (1 - edge), 0, 1)
    waves = 0.5 * noise(rng, h, w, 0.25 * w, 3, 7.0) * (1 - depth) + 0.6 * noise(rng, h, w, 0.5 * w, 4, 6.0) * depth
    canvas.lay(canvas.y > edge * h, mix((0.14, 0.26, 0.32), (0.7, 0.78, 0.8), np.clip(1.5 * waves, 0, 1)))
    for _ in range(rng.integers(2, 6)):
        post, y = Sketch(), rng.uniform(edge + 0.05, 0.95)
        if rng.random() < 0.6:
            post.box(-0.06, -0.1, 0.06, rng.uniform(0.6, 1.2), (0.32, 0.26, 0.2), grain=0.4)
        else:
            post.disc(0, 0.12, 0.2, 0.17, pick(rng, LOUD), relief=0.8)
        canvas.draw(post, rng.uniform(0, w), y * h, (0.08 + 0.2 * (y - edge)) * h)


def street(canvas: Canvas) -> None:
    """Facades with windows, trees, a pavement with boxes and posts, and the road."""
    rng, h, w = canvas.rng, canvas.height, canvas.width
    _sky(canvas, 0.5)
    _hills(canvas, 0.55, (0.3, 0.36, 0.25))
    x = -0.1 * w
    while x < w:
        house, wide, tall = Sketch(), rng.uniform(0.5, 0.9), rng.uniform(0.7, 1.3)
        wall = pick(rng, _FACADES)
        house.box(0, 0, wide, tall, wall, relief=0.1, grain=0.12)
        house.box(-0.01, tall, wide + 0.01, tall + 0.05, tone(wall, 0.6), relief=0.2)
        for row in np.arange(0.28, tall - 0.1, 0.24):
            for column in np.arange(0.08, wide - 0.12, 0.19):
                house.box(
                    column, row, column + 0.1, row + 0.15, tone((0.25, 0.3, 0.36), rng.uniform(0.6, 1.5)), relief=0.2
                )
        house.box(0.06, 0.02, wide - 0.06, 0.2, tone(pick(rng, LOUD), 0.9), relief=0.2)
        canvas.draw(house, x, 0.62 * h, 0.5 * h)
        x += wide * 0.5 * h
    depth = np.clip((canvas.y / h - 0.6) / 0.4, 0, 1)
    stone = 0.5 * noise(rng, h, w, 8, 2) + 0.5 * noise(rng, h, w, 0.5 * w, 2)
    canvas.lay(canvas.y > 0.61 * h, mix((0.5, 0.49, 0.47), (0.7, 0.68, 0.65), stone))
    canvas.lay(canvas.y > 0.7 * h, mix((0.24, 0.24, 0.25), (0.42, 0.42, 0.43), 0.8 * stone + 0.2 * depth))
    for left in np.arange(rng.uniform(-0.2, 0), 1.1, 0.3) * w:
        mark = Sketch()
        mark.poly([(0, 0), (0.4, 0), (0.44, 0.05), (0.06, 0.05)], (0.85, 0.84, 0.78), relief=0)
        canvas.draw(mark, left, 0.9 * h, 0.35 * h)
    for _ in range(rng.integers(3, 6)):
        clutter(
            canvas,
            rng.uniform(0, w),
            rng.uniform(0.62, 0.7) * h,
            rng.uniform(0.12, 0.4) * h,
            ("crate", "sign", "tree", "tree"),
        )


def meadow(canvas: Canvas) -> None:
    """Grass, far trees, bales, boulders and bushes."""
    rng, h, w = canvas.rng, canvas.height, canvas.width
    edge = rng.uniform(0.22, 0.4)
    _sky(canvas, edge)
    _hills(canvas, edge - 0.06, (0.34, 0.42, 0.36))
    _hills(canvas, edge, (0.2, 0.3, 0.12))
    dry = rng.random() < 0.4
    dark, bright = ((0.45, 0.4, 0.2), (0.78, 0.7, 0.42)) if dry else ((0.18, 0.32, 0.1), (0.48, 0.58, 0.22))
    depth = np.clip((canvas.y / h - edge) / (1 - edge), 0, 1)
    grain = noise(rng, h, w, 5, 2, 2.0) * (1 - depth) + noise(rng, h, w, 16, 3) * depth
    canvas.lay(
        canvas.y > edge * h, mix(dark, bright, np.clip(0.65 * grain + 0.5 * noise(rng, h, w, 0.4 * w, 3) - 0.08, 0, 1))
    )
    for _ in range(rng.integers(4, 8)):
        y = rng.uniform(edge + 0.02, 0.8)
        clutter(canvas, rng.uniform(0, w), y * h, (0.08 + 0.3 * (y - edge)) * h, ("boulder", "bush", "bale", "boulder"))


def room(canvas: Canvas) -> None:
    """A wall with paintings, a window or a shelf; floor and carpet; boxes, vases and lamps."""
    rng, h, w = canvas.rng, canvas.height, canvas.width
    canvas.light = np.array((1.0, rng.uniform(0.86, 0.98), rng.uniform(0.7, 0.95)), np.float32) * rng.uniform(
        0.85, 1.05
    )
    wall, edge = pick(rng, _WALLS), rng.uniform(0.58, 0.68) * h
    glow = np.exp(-(((canvas.x - rng.uniform(0, w)) / (0.5 * w)) ** 2 + (canvas.y / h - 0.3) ** 2))
    stripes = 0.12 * (np.sin(canvas.x * (2 * np.pi / rng.uniform(12, 40))) > 0) if rng.random() < 0.4 else 0.0
    canvas.lay(np.ones((h, w)), mix(tone(wall, 0.55), wall, np.clip(glow - stripes, 0, 1)))
    floor = pick(rng, ((0.5, 0.34, 0.2), (0.66, 0.5, 0.34), (0.46, 0.44, 0.42), (0.35, 0.22, 0.16)))
    planks = 0.5 * noise(rng, h, w, 0.3 * w, 4, 9.0) + 0.5 * ((canvas.y - edge) % (0.07 * h) > 2)
    canvas.lay(canvas.y > edge, mix(tone(floor, 0.6), tone(floor, 1.15), np.clip(planks, 0, 1)))
    canvas.lay(np.abs(canvas.y - edge) < 0.012 * h, np.array(tone(wall, 0.8), np.float32))
    for x in rng.permutation(np.linspace(0.05, 0.95, 5))[: rng.integers(2, 5)]:
        kind = "shelf" if rng.random() < 0.3 else "frame"
        clutter(canvas, x * w, rng.uniform(0.28, 0.4) * h, rng.uniform(0.16, 0.28) * h, (kind,))
    if rng.random() < 0.6:
        rug, loud = Sketch(), tone(pick(rng, LOUD), 0.8)
        rug.poly([(-1.2, 0), (1.2, 0), (0.9, 0.4), (-0.9, 0.4)], loud, relief=0.1, grain=0.3)
        rug.poly([(-0.95, 0.08), (0.95, 0.08), (0.75, 0.32), (-0.75, 0.32)], tone(loud, 1.4), relief=0, grain=0.3)
        canvas.draw(rug, rng.uniform(0.3, 0.7) * w, 0.96 * h, 0.5 * h)
    for _ in range(rng.integers(2, 4)):
        clutter(
            canvas,
            rng.uniform(0, w),
            edge + rng.uniform(0.0, 0.08) * h,
            rng.uniform(0.18, 0.4) * h,
            ("crate", "lamp", "vase"),
        )


def rails(canvas: Canvas) -> None:
    """A station: track, platform, posts, huts."""
    rng, h, w = canvas.rng, canvas.height, canvas.width
    _sky(canvas, 0.5)
    _hills(canvas, 0.52, (0.22, 0.32, 0.16))
    for _ in range(rng.integers(2, 5)):
        clutter(
            canvas, rng.uniform(0, w), rng.uniform(0.56, 0.62) * h, rng.uniform(0.2, 0.4) * h, ("crate", "tree", "sign")
        )
    stones = 0.6 * noise(rng, h, w, 5, 2) + 0.4 * noise(rng, h, w, 0.3 * w, 2)
    canvas.lay(canvas.y > 0.58 * h, mix((0.3, 0.27, 0.24), (0.62, 0.58, 0.53), stones))
    canvas.lay(canvas.y > 0.88 * h, mix((0.55, 0.54, 0.52), (0.72, 0.71, 0.69), stones))
    track = Sketch()
    for y in (0.0, 0.12):
        track.limb([(-3, 0.3 * y + 0.12), (0.2, y), (3, 1.5 * y - 0.08)], 0.025, (0.5, 0.42, 0.38))
    canvas.draw(track, 0.5 * w, 0.8 * h, 0.5 * h, None)


def grass(canvas: Canvas) -> None:
    """Blades in front of feet; too thin to be marked."""
    rng, h, w = canvas.rng, canvas.height, canvas.width
    blades = Sketch()
    for x in rng.uniform(0, w / h, 90):
        tall, lean = rng.uniform(0.04, 0.16), rng.uniform(-0.06, 0.06)
        blades.poly([(x, -0.02), (x + 0.008, -0.02), (x + lean, tall)], tone((0.36, 0.46, 0.16), rng.uniform(0.6, 1.4)),
                    relief=0, grain=0)  # fmt: skip
    canvas.draw(blades, 0, h, h, None)


def leaves(canvas: Canvas) -> None:
    rng, h, w = canvas.rng, canvas.height, canvas.width
    twig, green = Sketch(), tone((0.3, 0.42, 0.14), rng.uniform(0.7, 1.3))
    for x in rng.uniform(0, 0.5, 8):
        twig.disc(x, 0.3 * x + rng.normal(0, 0.06), 0.07, 0.03, tone(green, rng.uniform(0.7, 1.3)), rng.uniform(0, 3))
    canvas.draw(twig, rng.uniform(-0.1, 0.8) * w, rng.uniform(0.55, 1.0) * h, 0.8 * h)


def posts(canvas: Canvas) -> None:
    """A post, and a rail with it at times, which hide a part of what is behind."""
    rng, h, w = canvas.rng, canvas.height, canvas.width
    post, paint = Sketch(), pick(rng, ((0.3, 0.3, 0.32), (0.45, 0.34, 0.24), (0.7, 0.7, 0.68)))
    post.box(-0.022, -0.1, 0.022, rng.uniform(0.5, 1.1), paint)
    if rng.random() < 0.5:
        post.limb([(-3, 0.12), (3, 0.12)], 0.03, paint)
    canvas.draw(post, rng.uniform(0.1, 0.9) * w, h, h)


def nothing(canvas: Canvas) -> None:
    """Paint no foreground."""


PLACES = {
    "air": (air, nothing), "branch": (branch, leaves), "water": (water, posts), "street": (street, posts),
    "meadow": (meadow, grass), "room": (room, nothing), "rails": (rails, posts),
}  # fmt: skip


def _sky(canvas: Canvas, edge: float) -> None:
    rng, h, w = canvas.rng, canvas.height, canvas.width
    top, low = _SKIES[rng.choice(3, p=(0.5, 0.3, 0.2))]
    canvas.light = np.array((1.0, 0.99, 0.96), np.float32) * rng.uniform(0.75, 1.05)
    canvas.lay(np.ones((h, w)), mix(top, low, np.clip(canvas.y / (edge * h), 0, 1)))
    clouds = ramp(noise(rng, h, w, 0.6 * w, 5, 1.8), rng.uniform(0.5, 0.62), 0.8)
    canvas.lay(0.85 * clouds, mix((0.98, 0.98, 0.98), (0.68, 0.7, 0.74), noise(rng, h, w, 0.3 * w, 3, 1.5)))


def _hills(canvas: Canvas, edge: float, color) -> None:
    """Land up to `edge`, with a rugged skyline of trees."""
    rng, h, w = canvas.rng, canvas.height, canvas.width
    skyline = edge * h - 0.14 * h * noise(rng, 2, w, 0.4 * w, 5)[1]
    canvas.lay(canvas.y > skyline, mix(tone(color, 0.6), tone(color, 1.3), noise(rng, h, w, 0.08 * h, 3)))
