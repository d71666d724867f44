"""A table in a room: mugs, fruit, books, bottles, a vase, balls and a cat in front of a wall with a window."""

import numpy as np

from promptseg.datasets.phrasecut.canvas import Paint, blob, box, ellipse, smooth
from promptseg.datasets.phrasecut.scene import Scene
from promptseg.datasets.phrasecut.words import COLORS

_ON = ("on", "table")


def draw(rng: np.random.Generator, height: int, width: int) -> Scene:
    """Render the wall, the table, then objects from far to near."""
    scene = Scene(rng, height, width)
    edge = height * rng.uniform(0.5, 0.58)
    _wall(scene, edge)
    _table(scene, edge)
    unit = height * rng.uniform(0.26, 0.32)
    far = rng.permutation([0.12, 0.38, 0.62, 0.88])
    mugs = scene.colors(2, "red", "blue", "white", "green", "yellow", "black", "pink")
    books, bottle = scene.colors(2, "red", "blue", "green", "brown", "purple"), scene.pick("green", "brown", "blue")
    row = [(_vase, scene.pick("blue", "white", "purple", "tan")), (_bottle, bottle)]
    row.append((_cat, scene.pick("orange", "gray", "black", "white")) if rng.random() < 0.5 else (_lamp, "white"))
    row += [(_bottle, scene.pick("brown", "green"))] if rng.random() < 0.4 else []
    for spot, (thing, color) in zip(far, row):
        thing(
            scene,
            (spot + rng.uniform(-0.04, 0.04)) * width,
            edge + rng.uniform(0.06, 0.13) * height,
            unit * 1.35,
            color,
        )
    middle = [(_mug, mugs[0], 0.75), (_mug, mugs[1], rng.choice([0.75, 0.45])), (_books, books, 1.0)]
    for spot, i in zip(rng.permutation([0.18, 0.5, 0.82]), rng.permutation(3)):
        thing, color, size = middle[i]
        thing(
            scene,
            (spot + rng.uniform(-0.06, 0.06)) * width,
            edge + rng.uniform(0.2, 0.29) * height,
            unit * size,
            color,
        )
    front = np.sort(rng.uniform(0.82, 0.97, 5)) * height
    spots = rng.permutation([0.1, 0.29, 0.5, 0.71, 0.9]) + rng.uniform(-0.05, 0.05, 5)
    _bowl(scene, spots[0] * width, front[0], unit * 0.75, scene.pick("white", "blue", "brown"))
    fruit = [(_apple, "red"), (_apple, scene.pick("green", "red", "yellow")), (_orange, "orange"), (_banana, "yellow")]
    for spot, foot, i in zip(spots[1:], front[1:], rng.permutation(4)):
        thing, color = fruit[i]
        thing(scene, spot * width, foot, unit * rng.uniform(0.28, 0.36), color, _ON)
    if rng.random() < 0.4:
        ball = scene.pick("red", "yellow", "blue")
        scene.ball(rng.uniform(0.2, 0.8) * width, 0.8 * height, unit * rng.uniform(0.13, 0.22), ball, _ON)
    return scene


def _wall(scene: Scene, edge: float) -> None:
    rng, w = scene.rng, scene.width
    color = scene.pick("white", "tan", "blue", "green", "yellow", "pink")
    pattern = scene.pick("striped", "dotted", "plain", "brick")
    paler = tuple(0.55 * np.array(COLORS[color]) + 0.36)
    other = tuple(0.8 * np.array(COLORS[color]) + 0.1)
    wall = scene.part(box(-2, -2, w + 2, edge + 4), Paint(paler, pattern, other, rng.uniform(10, 24),
                                                          np.pi / 2 if pattern == "striped" else 0, 0))  # fmt: skip
    scene.name("wall", [color, *([pattern] if pattern != "plain" else [])], [wall])
    x, half = rng.uniform(0.2, 0.8) * w, rng.uniform(0.11, 0.17) * w
    if rng.random() < 0.55:
        top, bottom = 0.04 * scene.height, edge * rng.uniform(0.7, 0.85)
        frame = scene.part(box(x - half - 6, top - 6, x + half + 6, bottom + 6), Paint((0.86, 0.85, 0.82), grain=0.05))
        panes = scene.grid(x - half, top, x + half, bottom, 2, 2, Paint((0.62, 0.78, 0.9), round=0, grain=0.4))
        scene.name("window", ["glass"], [frame, *panes], ("on", "wall"), bottom - top, x)
        cloth = scene.pick("red", "white", "green", "blue")
        for side in (-1, 1):
            at = x + side * (half + 0.03 * w)
            folds = Paint(scene.near(cloth), "striped", tuple(0.75 * np.array(COLORS[cloth])), 7.0, np.pi / 2, 0.2)
            outline = np.array(
                [(at - 0.05 * w, -4), (at + 0.05 * w, -4), (at + 0.06 * w, 0.95 * edge), (at - 0.06 * w, 0.95 * edge)]
            )
            scene.name("curtain", [cloth], [scene.part(outline, folds)], ("on", "window"), edge, at)
        return
    for u in (x - 0.14 * w, x + 0.2 * w):
        size, frame = rng.uniform(0.05, 0.09) * w, scene.pick("black", "brown", "white")
        y = rng.uniform(0.25, 0.45) * edge
        rim = scene.part(box(u - size, y - 0.8 * size, u + size, y + 0.8 * size), Paint(scene.near(frame), round=0.2))
        art = Paint(scene.near(scene.pick("blue", "green", "orange")), "rough", (0.9, 0.85, 0.7), round=0, grain=0.6)
        inside = scene.part(box(u - 0.8 * size, y - 0.6 * size, u + 0.8 * size, y + 0.6 * size), art)
        scene.name("picture", ["framed"], [rim, inside], ("on", "wall"), 1.6 * size, u)


def _table(scene: Scene, edge: float) -> None:
    w, h = scene.width, scene.height
    kind = scene.pick("wooden", "wooden", "white", "checked")
    paint = {
        "wooden": Paint((0.52, 0.33, 0.17), "wooden", (0.34, 0.2, 0.1), scene.rng.uniform(18, 34), 0, 0, 0.25),
        "white": Paint((0.8, 0.79, 0.77), round=0, grain=0.1),
        "checked": Paint((0.85, 0.83, 0.8), "checked", scene.near(scene.pick("red", "blue", "green")), 26, 0.03, 0),
    }[kind]
    table = scene.part(np.array([(-2, edge), (w + 2, edge), (w + 2, h + 2), (-2, h + 2)]), paint)
    scene.name("table", [kind], [table])


def _mug(scene: Scene, x: float, foot: float, s: float, color: str) -> None:
    rng, side = scene.rng, scene.pick(-1, 1)
    pattern = scene.pick("plain", "plain", "striped", "dotted")
    paint = Paint(scene.near(color), pattern, COLORS["white" if color != "white" else "blue"], 0.2 * s, 0, 0.55, 0.06)
    scene.canvas.shadow(ellipse(x + 0.1 * s, foot, 0.48 * s, 0.11 * s), 0.55, 4)
    hole = Paint((0.12, 0.08, 0.06), round=0)
    t = np.linspace(-1.4, 1.4, 24)
    ring = [
        np.stack([x + side * (0.33 + r * np.cos(t)) * s, foot - (0.4 + r * np.sin(t)) * s], 1) for r in (0.25, 0.17)
    ]
    mug = scene.part(np.concatenate([ring[0], ring[1][::-1]]), Paint(scene.near(color), round=0.5))
    body = ellipse(x, foot - 0.07 * s, 0.36 * s, 0.1 * s, turn=(0, np.pi))
    scene.part(np.concatenate([body, [(x - 0.38 * s, foot - 0.8 * s), (x + 0.38 * s, foot - 0.8 * s)]]), paint, mug)
    scene.part(ellipse(x, foot - 0.8 * s, 0.38 * s, 0.1 * s), Paint(tuple(0.85 * np.array(paint.color)), round=0), mug)
    scene.part(ellipse(x, foot - 0.785 * s, 0.33 * s, 0.075 * s), hole if rng.random() < 0.6 else paint, mug)
    scene.name("mug", [color, *([pattern] if pattern != "plain" else [])], [mug], _ON, 0.9 * s, x)


def _books(scene: Scene, x: float, foot: float, s: float, colors: list[str]) -> None:
    scene.canvas.shadow(box(x - 0.55 * s, foot - 0.1 * s, x + 0.62 * s, foot + 0.03 * s), 0.5, 4)
    for level, color in enumerate(colors):
        shift, half, up = scene.rng.normal(0, 0.05 * s), (0.55 - 0.06 * level) * s, foot - 0.2 * level * s
        left, right = x + shift - half, x + shift + half
        lid = np.array([(left, up - 0.19 * s), (left + 0.14 * s, up - 0.29 * s), (right + 0.1 * s, up - 0.29 * s),
                        (right, up - 0.19 * s)])  # fmt: skip
        book = scene.part(lid, Paint(scene.near(color), round=0))
        scene.part(box(left, up - 0.19 * s, right, up), Paint(tuple(0.7 * np.array(COLORS[color])), round=0), book)
        pages = Paint((0.86, 0.83, 0.74), "striped", (0.7, 0.67, 0.6), 2.5, 0, 0)
        scene.part(box(left + 0.02 * s, up - 0.165 * s, right - 0.03 * s, up - 0.03 * s), pages, book)
        scene.name("book", [color], [book], _ON, 0.2 * s, x)


def _bottle(scene: Scene, x: float, foot: float, s: float, color: str) -> None:
    paint = Paint(tuple(0.75 * np.array(scene.near(color))), round=0.75, grain=0.15)
    scene.canvas.shadow(ellipse(x + 0.06 * s, foot, 0.22 * s, 0.06 * s), 0.55, 4)
    outline = np.array(
        [(-0.15, 0), (-0.15, 0.58), (-0.06, 0.74), (-0.06, 1.0), (0.06, 1.0), (0.06, 0.74), (0.15, 0.58), (0.15, 0)]
    )
    bottle = scene.part(smooth(np.repeat(outline, 2, axis=0) * (s, -s) + (x, foot)), paint)
    scene.part(
        box(x - 0.145 * s, foot - 0.5 * s, x + 0.145 * s, foot - 0.2 * s), Paint(scene.near("white"), round=0.4), bottle
    )
    scene.part(box(x - 0.065 * s, foot - 1.04 * s, x + 0.065 * s, foot - 0.95 * s), Paint(scene.near("red")), bottle)
    scene.part(box(x - 0.1 * s, foot - 0.7 * s, x - 0.075 * s, foot - 0.54 * s), Paint((0.9, 0.92, 0.9)), bottle)
    scene.name("bottle", [color, "glass"], [bottle], _ON, s, x)


def _vase(scene: Scene, x: float, foot: float, s: float, color: str) -> None:
    rng = scene.rng
    scene.canvas.shadow(ellipse(x + 0.08 * s, foot, 0.26 * s, 0.07 * s), 0.55, 4)
    bloom, stalks = scene.pick("red", "yellow", "pink", "white", "purple"), None
    tips = [(x + u * s, foot - (0.88 + rng.uniform(-0.08, 0.1)) * s) for u in np.linspace(-0.26, 0.26, 5)]
    for tip in tips:
        stem = np.array(
            [(x - 2, foot - 0.45 * s), (tip[0] - 1, tip[1]), (tip[0] + 1, tip[1]), (x + 2, foot - 0.45 * s)]
        )
        stalks = scene.part(stem, Paint((0.16, 0.36, 0.12)), stalks)
    ids = []
    for tip in tips:
        ids.append(scene.part(blob(rng, *tip, 0.1 * s, 0.09 * s, 0.12), Paint(scene.near(bloom), round=0.6)))
        scene.part(ellipse(*tip, 0.03 * s, 0.03 * s), Paint((0.5, 0.34, 0.08)), ids[-1])
        scene.name("flower", [bloom], [ids[-1]], ("in", "vase"), 0.19 * s, tip[0])
    pattern = scene.pick("plain", "striped")
    paint = Paint(
        scene.near(color), pattern, scene.near("white" if color != "white" else "blue"), 0.12 * s, 0, 0.7, 0.08
    )
    outline = [(-0.1, 0), (-0.2, 0.2), (-0.17, 0.36), (-0.07, 0.47), (-0.11, 0.56)]
    outline += [(-u, v) for u, v in outline[::-1]]
    vase = scene.part(smooth(np.array(outline) * (s, -s) + (x, foot)), paint)
    scene.name("vase", [color, *([pattern] if pattern != "plain" else [])], [vase], _ON, 0.56 * s, x)


def _lamp(scene: Scene, x: float, foot: float, s: float, color: str) -> None:
    metal = Paint((0.45, 0.42, 0.36), round=0.7)
    scene.canvas.shadow(ellipse(x + 0.06 * s, foot, 0.22 * s, 0.06 * s), 0.5, 4)
    base = scene.part(ellipse(x, foot - 0.03 * s, 0.2 * s, 0.06 * s), metal)
    scene.part(box(x - 0.03 * s, foot - 0.7 * s, x + 0.03 * s, foot - 0.04 * s), metal, base)
    shade = scene.part(np.array([(-0.3, 0.6), (-0.16, 1.0), (0.16, 1.0), (0.3, 0.6)]) * (s, -s) + (x, foot),
                       Paint((0.93, 0.88, 0.72), round=0.25))  # fmt: skip
    scene.name("lamp", [color], [base, shade], _ON, s, x)


def _cat(scene: Scene, x: float, foot: float, s: float, color: str) -> None:
    scene.cat(x, foot, s, color, ("sitting on", "table"))


def _bowl(scene: Scene, x: float, foot: float, s: float, color: str) -> None:
    scene.canvas.shadow(ellipse(x + 0.06 * s, foot, 0.5 * s, 0.1 * s), 0.55, 5)
    paint = Paint(scene.near(color), round=0.55, grain=0.06)
    inner = Paint(tuple(0.7 * np.array(paint.color)), round=0.2)
    bowl = scene.part(ellipse(x, foot - 0.42 * s, 0.62 * s, 0.14 * s), inner)
    for u in (-0.25, 0.22):
        _apple(scene, x + u * s, foot - 0.33 * s, 0.3 * s, scene.pick("red", "green"), ("in", "bowl"))
    scene.part(ellipse(x, foot - 0.42 * s, 0.62 * s, 0.42 * s, turn=(0.07, np.pi - 0.07)), paint, bowl)
    scene.name("bowl", [color], [bowl], _ON, 0.55 * s, x)


def _apple(scene: Scene, x: float, foot: float, s: float, color: str, relation: tuple[str, str]) -> None:
    scene.canvas.shadow(ellipse(x + 0.15 * s, foot - 0.04 * s, 0.5 * s, 0.14 * s), 0.5, 3)
    shape = [(0, 0.03), (-0.3, -0.02), (-0.56, 0.4), (-0.5, 0.85), (-0.12, 0.98), (0, 0.86), (0.12, 0.98), (0.5, 0.85),
             (0.56, 0.4), (0.3, -0.02)]  # fmt: skip
    warm = tuple(0.6 * np.array(COLORS[color]) + 0.4 * np.array(COLORS["yellow"]))
    paint = Paint(scene.near(color), "rough", warm, round=0.8, grain=0.2)
    apple = scene.part(smooth(np.array(shape) * (s, -s) + (x, foot)), paint)
    scene.part(box(x - 0.03 * s, foot - 1.08 * s, x + 0.04 * s, foot - 0.85 * s), Paint((0.25, 0.16, 0.08)), apple)
    scene.name("apple", [color], [apple], relation, s, x)


def _orange(scene: Scene, x: float, foot: float, s: float, color: str, relation: tuple[str, str]) -> None:
    scene.canvas.shadow(ellipse(x + 0.15 * s, foot - 0.04 * s, 0.52 * s, 0.14 * s), 0.5, 3)
    fruit = scene.part(ellipse(x, foot - 0.5 * s, 0.52 * s, 0.5 * s), Paint(scene.near(color), round=0.75, grain=0.3))
    scene.part(ellipse(x + 0.1 * s, foot - 0.93 * s, 0.06 * s, 0.04 * s), Paint((0.3, 0.35, 0.1)), fruit)
    scene.name("orange", ["ripe"], [fruit], relation, s, x)


def _banana(scene: Scene, x: float, foot: float, s: float, color: str, relation: tuple[str, str]) -> None:
    scene.canvas.shadow(ellipse(x, foot - 0.03 * s, 0.95 * s, 0.16 * s), 0.5, 3)
    t = np.linspace(0.15 * np.pi, 0.85 * np.pi, 24)
    outer = np.stack([x + 1.1 * s * np.cos(t), foot - 0.95 * s + 0.95 * s * np.sin(t)], 1)
    inner = np.stack([x + 1.02 * s * np.cos(t), foot - 0.95 * s + 0.55 * s * np.sin(t)], 1)
    banana = scene.part(np.concatenate([outer, inner[::-1]]), Paint(scene.near(color), round=0.6, grain=0.15))
    for end in (outer[0], outer[-1]):
        scene.part(ellipse(end[0], end[1] - 0.04 * s, 0.06 * s, 0.09 * s), Paint((0.28, 0.2, 0.08)), banana)
    scene.name("banana", [color], [banana], relation, 0.5 * s, x)
