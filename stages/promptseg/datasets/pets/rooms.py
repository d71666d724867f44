"""Surroundings of a pet: lawn, sofa, bed, floor, street or studio, with objects behind and in front of it.

Nothing here is labelled as pet.
"""

from collections.abc import Callable

import numpy as np

from promptseg.datasets.pets.animal import ellipse
from promptseg.datasets.pets.fur import Canvas, blur, noise, plain, smooth, step

_CLOTH = ((0.55, 0.16, 0.17), (0.2, 0.3, 0.45), (0.72, 0.66, 0.55), (0.3, 0.38, 0.26), (0.45, 0.33, 0.22),
          (0.75, 0.73, 0.72), (0.36, 0.33, 0.36), (0.78, 0.55, 0.25), (0.14, 0.14, 0.16))  # fmt: skip
_TOYS = ((0.85, 0.25, 0.15), (0.2, 0.5, 0.8), (0.9, 0.75, 0.2), (0.35, 0.65, 0.3), (0.85, 0.35, 0.55))


def backdrop(canvas: Canvas, kind: str, ground: float, like: np.ndarray) -> None:
    """Fill the canvas; ground: height of the edge between floor and wall, as a fraction; like: color of the coat."""
    canvas.rgb[:] = _BACKDROPS[kind](canvas, int(ground * canvas.h), like)


def clutter(canvas: Canvas, kind: str, ground: float, like: np.ndarray) -> None:
    """Draw objects behind the pet: cushions of a similar color, toys, pots, a furry throw, posts."""
    rng, h, w = canvas.rng, canvas.h, canvas.w
    for _ in range(rng.integers(1, 4) if kind != "studio" else rng.integers(0, 2)):
        x, y = rng.uniform(0.02, 0.98) * w, (ground + rng.uniform(0.02, 0.25)) * h
        thing = str(rng.choice(_THINGS[kind]))
        if thing == "cushion":
            color = like * rng.uniform(0.8, 1.2) if rng.random() < 0.6 else np.array(_pick(rng, _CLOTH))
            size = rng.uniform(0.13, 0.24) * h
            corners = np.array(
                [(-1, -0.9), (0, -0.78), (1, -0.9), (0.9, 0), (1, 0.85), (0, 0.75), (-1, 0.85), (-0.9, 0)]
            )
            turn, outline = rng.normal(0, 0.35), corners * size * (1.15, 0.9)
            outline = outline @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
            canvas.paint(smooth(outline + (x, y - 0.4 * size)), _woven(rng, h, w, color), pet=False, depth=0.7 * size)
        elif thing == "throw":  # as furry as a pet, and of its color
            size = rng.uniform(0.12, 0.24) * h
            outline = ellipse((x, y), (1.5 * size, 0.55 * size), rng.normal(0, 0.2))
            canvas.paint(
                smooth(outline), _mottled(rng, h, w, like * rng.uniform(0.85, 1.1)), pet=False, fluff=4, strands=0.1,
                hang=rng.uniform(-1.5, 1.5), depth=0.4 * size, soften=1.0,
            )  # fmt: skip
        elif thing == "ball":
            size = rng.uniform(0.03, 0.07) * h
            canvas.shadow((x, y + size), (size, 0.35 * size), 0.4)
            canvas.paint(smooth(ellipse((x, y), (size, size))), plain(_pick(rng, _TOYS)), pet=False, depth=size)
        elif thing == "pot":
            size = rng.uniform(0.08, 0.16) * h
            pot = np.array([(-0.6, 0.0), (0.6, 0.0), (0.45, 1.0), (-0.45, 1.0)]) * size + (x, y - size)
            for _ in range(9):
                leaf = ellipse((x, y - size), (0.9 * size, 0.16 * size), rng.uniform(-2.8, -0.3))
                leaf += (leaf[0] - leaf.mean(0)) * 0.8
                green = np.array((0.2, 0.42, 0.14)) * rng.uniform(0.6, 1.3)
                canvas.paint(smooth(leaf), plain(green), pet=False, depth=0.2 * size)
            canvas.paint(pot, plain((0.6, 0.3, 0.2)), pet=False, depth=0.5 * size)
        else:  # a post or a leg of a chair
            wide, top = rng.uniform(0.02, 0.06) * w, rng.uniform(0.0, 0.5) * h
            wood = np.array((0.42, 0.27, 0.15)) * rng.uniform(0.5, 1.4)
            outline = np.array([(x - wide, top), (x + wide, top), (x + wide, y), (x - wide, y)])
            canvas.paint(outline, _mottled(rng, h, w, wood), pet=False, strands=0.12, depth=wide)


def foreground(canvas: Canvas, kind: str, low: float, like: np.ndarray) -> None:
    """Draw what occludes the pet: grass, a fold of the blanket, a toy, a bar; low: row of its foot in pixels."""
    rng, h, w = canvas.rng, canvas.h, canvas.w
    if kind == "lawn":
        for _ in range(int(0.5 * w)):
            x, foot = rng.uniform(0, w), low + rng.uniform(-0.01, 0.05) * h
            tip = (x + rng.normal(0, 0.02 * h), foot - rng.uniform(0.03, 0.1) * h)
            green = np.array((0.3, 0.48, 0.14)) * rng.uniform(0.5, 1.4)
            blade = np.array([(x - 1.4, foot), (0.5 * (x + tip[0]) - 1, 0.5 * (foot + tip[1])), tip, (x + 1.4, foot)])
            canvas.paint(blade, plain(green), pet=False, depth=2)
    elif kind in ("sofa", "bed") and rng.random() < 0.65:
        color = like * rng.uniform(0.85, 1.15) if rng.random() < 0.5 else np.array(_pick(rng, _CLOTH))
        x, wide = rng.uniform(0.1, 0.9) * w, rng.uniform(0.25, 0.5) * w
        fold = [(x - wide, h + 20), (x - 0.8 * wide, low), (x, low - rng.uniform(0.02, 0.1) * h), (x + 0.8 * wide, low),
                (x + wide, h + 20)]  # fmt: skip
        canvas.paint(smooth(fold), _woven(rng, h, w, color), pet=False, depth=0.06 * h)
    elif kind in ("floor", "street") and rng.random() < 0.5:
        size, x = rng.uniform(0.04, 0.08) * h, rng.uniform(0.3, 0.7) * w
        canvas.paint(
            smooth(ellipse((x, low - 0.4 * size), (size, size))), plain(_pick(rng, _TOYS)), pet=False, depth=size
        )
    if kind != "studio" and rng.random() < 0.15:  # a bar, a rail, the trunk of a small tree
        x, wide = rng.uniform(0.2, 0.8) * w, rng.uniform(0.012, 0.03) * w
        bar = np.array([(x - wide, -9), (x + wide, -9), (x + 1.1 * wide, h + 9), (x - 0.9 * wide, h + 9)])
        canvas.paint(
            bar, _mottled(rng, h, w, np.array((0.4, 0.33, 0.27)) * rng.uniform(0.4, 2.0)), pet=False, depth=wide
        )


def _lawn(canvas: Canvas, edge: int, like: np.ndarray) -> np.ndarray:
    rng, h, w = canvas.rng, canvas.h, canvas.w
    dark, light = np.array((0.1, 0.19, 0.06)), np.array((0.42, 0.52, 0.2)) * rng.uniform(0.8, 1.1)
    far, near = noise(rng, h, w, 3, 2), noise(rng, h, w, 0.05 * h, 4)
    share = np.clip((np.arange(h) - edge) / max(h - edge, 1), 0, 1)[:, None]
    grass = (
        dark
        + (light - dark) * step(far * (1 - share) + near * share + 0.5 * noise(rng, h, w, 0.3 * h), -2, 2)[..., None]
    )
    leaves = noise(rng, h, w, 0.16 * h, 3)
    bushes = np.array((0.07, 0.13, 0.05)) + np.array((0.3, 0.36, 0.14)) * step(leaves, -0.8, 2.2)[..., None]
    bushes += step(noise(rng, h, w, 0.05 * h, 2), 1.5, 2.3)[..., None] * (np.array(_pick(rng, _TOYS)) - bushes)
    return _join(rng, canvas, blur(bushes.astype(np.float32), rng.uniform(2, 6)), grass, edge, 4.0)


def _street(canvas: Canvas, edge: int, like: np.ndarray) -> np.ndarray:
    rng, h, w = canvas.rng, canvas.h, canvas.w
    stone = np.array((0.52, 0.5, 0.47)) * rng.uniform(0.6, 1.25) * (1 + rng.normal(0, 0.04, 3))
    paving = stone * (1 + 0.09 * noise(rng, h, w, 2, 1) + 0.07 * noise(rng, h, w, 0.2 * h))[..., None]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    bricks = (np.mod(x + 21 * np.mod(y // 14, 2), 42) < 2) | (np.mod(y, 14) < 2)
    wall = (
        np.array(_pick(rng, ((0.55, 0.28, 0.2), (0.7, 0.66, 0.58), (0.4, 0.42, 0.45))))
        * np.where(bricks, 1.25, 1)[..., None]
    )
    wall = wall * (1 + 0.12 * noise(rng, h, w, 16))[..., None]
    return _join(rng, canvas, blur(wall.astype(np.float32), rng.uniform(0.6, 4)), paving, edge, 1.0)


def _floor(canvas: Canvas, edge: int, like: np.ndarray) -> np.ndarray:
    rng, h, w = canvas.rng, canvas.h, canvas.w
    y, x = np.mgrid[:h, :w].astype(np.float32)
    depth = np.maximum(y - edge + 0.25 * h, 1) / h  # planks run away from us
    plank = (x - 0.5 * w) / depth / (0.11 * w) + 40
    tones = rng.uniform(0.8, 1.15, 97)[np.floor(plank).astype(int) % 97]
    wood = np.array(_pick(rng, ((0.5, 0.32, 0.18), (0.66, 0.5, 0.33), (0.36, 0.24, 0.17), (0.62, 0.6, 0.57))))
    planks = wood * (tones * np.where(np.mod(plank, 1) < 0.05, 0.5, 1) * (1 + 0.06 * noise(rng, h, w, 5)))[..., None]
    if rng.random() < 0.6:  # a rug of stripes, one of them of the pet's color
        colors = np.array([_pick(rng, _CLOTH), _pick(rng, _CLOTH), like])
        stripes = (
            colors[np.floor((y - edge) / (0.035 * h)).astype(int) % 3] * (1 + 0.1 * noise(rng, h, w, 3))[..., None]
        )
        middle, wide = rng.uniform(0.25, 0.75) * w, 0.42 * w
        on = (np.abs(x - middle) < wide * depth * 2.2) & (y > edge + 0.12 * h)
        planks = np.where(on[..., None], stripes, planks)
    return _join(rng, canvas, _wall(canvas), planks, edge, 0.5)


def _sofa(canvas: Canvas, edge: int, like: np.ndarray) -> np.ndarray:
    rng, h, w = canvas.rng, canvas.h, canvas.w
    color = like * rng.uniform(0.7, 1.15) if rng.random() < 0.4 else np.array(_pick(rng, _CLOTH))
    cloth = _woven(rng, h, w, color)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    seat = cloth(x, y) * (0.95 + 0.1 * noise(rng, h, w, 0.3 * h))[..., None]
    inner, canvas.rgb = canvas.rgb, _wall(canvas)
    top = edge - rng.uniform(0.25, 0.45) * h
    for k in range(3):  # the cushions of the back
        left, right = (k - 0.45) * 0.5 * w + 3, (k + 0.55) * 0.5 * w - 3
        back = [(left, top), (right, top), (right, edge + 9), (left, edge + 9)]
        canvas.paint(smooth([p for p in back for _ in range(2)]), cloth, pet=False, depth=0.1 * h)
    wall, canvas.rgb = canvas.rgb, inner
    return _join(rng, canvas, wall, seat, edge, 1.5)


def _bed(canvas: Canvas, edge: int, like: np.ndarray) -> np.ndarray:
    rng, h, w = canvas.rng, canvas.h, canvas.w
    color = like * rng.uniform(0.8, 1.2) if rng.random() < 0.5 else np.array(_pick(rng, _CLOTH))
    folds = noise(rng, h, w, 0.35 * h, 3) + 0.7 * np.abs(noise(rng, h, w, 0.22 * h, 2))
    light = 0.85 + 1.6 * (folds - np.roll(folds, (3, 4), (0, 1)))
    y, x = np.mgrid[:h, :w].astype(np.float32)
    return _join(
        rng, canvas, _wall(canvas), _woven(rng, h, w, color)(x, y) * np.clip(light, 0.35, 1.5)[..., None], edge, 2.0
    )


def _studio(canvas: Canvas, edge: int, like: np.ndarray) -> np.ndarray:
    rng, h, w = canvas.rng, canvas.h, canvas.w
    color = np.array(_pick(rng, (*_CLOTH, (0.8, 0.12, 0.25), (0.12, 0.2, 0.16))))
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
    glow = 1.15 - 0.35 * np.hypot(x - rng.normal(0, 0.3), y + 0.2) + 0.03 * noise(rng, h, w, 0.5 * h, 2)
    table = color * rng.uniform(0.6, 1.3) * (1 + 0.03 * noise(rng, h, w, 4))[..., None]
    return _join(rng, canvas, color * glow[..., None], table, edge, 6.0)


def _wall(canvas: Canvas) -> np.ndarray:
    """Render a plain wall with light from one side, sometimes with objects out of focus."""
    rng, h, w = canvas.rng, canvas.h, canvas.w
    color = np.array(_pick(rng, ((0.75, 0.7, 0.6), (0.55, 0.6, 0.62), (0.68, 0.55, 0.48), (0.35, 0.3, 0.27))))
    wall = color * (1 + 0.25 * np.linspace(-1, 1, w) * rng.choice((-1, 1)) + 0.02 * noise(rng, h, w, 9))[..., None]
    for _ in range(rng.integers(0, 5)):
        x, y = int(rng.uniform(-0.1, 0.9) * w), int(rng.uniform(-0.2, 0.5) * h)
        box = np.s_[
            max(y, 0) : max(y + int(rng.uniform(0.1, 0.5) * h), 0), max(x, 0) : x + int(rng.uniform(0.08, 0.3) * w)
        ]
        wall[box] = np.array(_pick(rng, _CLOTH + _TOYS)) * rng.uniform(0.5, 1.1)
    return blur(wall.astype(np.float32), rng.uniform(1.5, 6))


def _join(rng, canvas: Canvas, above: np.ndarray, below: np.ndarray, edge: int, soften: float) -> np.ndarray:
    """Join the wall above and the ground below a slightly tilted edge."""
    h, w = canvas.h, canvas.w
    line = edge + rng.normal(0, 0.03) * (np.arange(w) - w / 2)
    share = step(np.arange(h)[:, None] - line, -soften, soften)[..., None]
    return (above + (below - above) * share).astype(np.float32)


def _woven(rng, h: int, w: int, color) -> Callable:
    """Return cloth: a color, threads, and sometimes a second color in stripes or checks."""
    threads = 1 + 0.05 * noise(rng, h, w, 2, 1) + 0.06 * noise(rng, h, w, 0.12 * h, 2)
    second, width, kind = np.array(_pick(rng, _CLOTH)), rng.uniform(9, 26), rng.integers(4)
    a, b = rng.normal(0, 1, 2)

    def coat(x, y):
        across, along = np.mod(a * x + b * y, width) < 0.4 * width, np.mod(b * x - a * y, width) < 0.4 * width
        on = (across if kind == 2 else across ^ along if kind == 3 else np.zeros_like(across))[..., None]
        return np.where(on, second, color).astype(np.float32) * threads[y.astype(int), x.astype(int)][..., None]

    return coat


def _mottled(rng, h: int, w: int, color) -> Callable:
    spots = 1 + 0.1 * noise(rng, h, w, 0.1 * h, 3)
    return lambda x, y: (np.array(color) * spots[y.astype(int), x.astype(int)][..., None]).astype(np.float32)


def _pick(rng, colors) -> tuple[float, float, float]:
    return colors[rng.integers(len(colors))]


_BACKDROPS = {"lawn": _lawn, "street": _street, "floor": _floor, "sofa": _sofa, "bed": _bed, "studio": _studio}
ROOMS = tuple(_BACKDROPS)
_THINGS = {
    "lawn": ("ball", "pot", "post"), "street": ("pot", "post", "ball"), "floor": ("cushion", "ball", "post", "throw"),
    "sofa": ("cushion", "cushion", "throw"), "bed": ("cushion", "throw"), "studio": ("cushion", "ball"),
}  # fmt: skip
