"""A park or a street: sky and clouds, a house, trees, people, dogs, cars, balls; near objects occlude far ones."""

import numpy as np

from promptseg.datasets.phrasecut.canvas import Paint, blob, box, ellipse, smooth
from promptseg.datasets.phrasecut.scene import Scene
from promptseg.datasets.phrasecut.words import COLORS

_SHIRTS = ("red", "blue", "green", "yellow", "orange", "white", "black", "purple")  # no two that one may take for one
_SKIN = ((0.87, 0.68, 0.55), (0.72, 0.52, 0.38), (0.5, 0.33, 0.22), (0.33, 0.21, 0.15))


def draw(rng: np.random.Generator, height: int, width: int, street: bool) -> Scene:
    """Render a scene; objects are placed from far to near."""
    scene = Scene(rng, height, width)
    horizon = height * rng.uniform(0.42, 0.55)
    _sky(scene, horizon)
    _house(scene, width * rng.uniform(0.15, 0.85), horizon + 0.08 * height, height * rng.uniform(0.34, 0.46))
    ground = _ground(scene, horizon, street)
    for x in rng.uniform(0.03, 0.97, rng.integers(2, 4)) * width:
        _tree(scene, x, horizon + height * rng.uniform(0.05, 0.12), height * rng.uniform(0.35, 0.55))
    if street:
        for x, color in zip(rng.permutation([0.25, 0.75])[: rng.integers(1, 3)], scene.colors(2, *_PAINTS)):
            _car(scene, x * width, height * rng.uniform(0.72, 0.78), width * rng.uniform(0.3, 0.38), color)
    elif rng.random() < 0.6:
        _bench(scene, width * rng.uniform(0.3, 0.7), horizon + 0.22 * height, width * rng.uniform(0.24, 0.32))
    spots = rng.permutation([0.12, 0.35, 0.6, 0.86])
    coats, shirts = scene.colors(2, "brown", "black", "white", "gray"), scene.colors(3, *_SHIRTS)
    near = [("person", spots[0], shirts[0]), ("person", spots[1], shirts[1]), ("dog", spots[2], coats[0])]
    near += [("dog", spots[3], coats[1])] if rng.random() < 0.6 else [("person", spots[3], shirts[2])]
    depth = np.sort(rng.uniform(0.74, 0.95, len(near)))
    for place, (kind, spot, color) in zip(depth, [near[i] for i in rng.permutation(len(near))]):
        x, foot = (spot + rng.uniform(-0.05, 0.05)) * width, place * height
        (_person if kind == "person" else _dog)(scene, x, foot, height * (place - 0.3), color, ground)
    sizes = height * np.array((0.03, 0.065)) * rng.uniform(0.9, 1.25)
    for radius, color, x in zip(sizes, scene.colors(2, "red", "blue", "yellow", "white"), rng.uniform(0.1, 0.9, 2)):
        scene.ball(x * width, height * rng.uniform(0.86, 0.98), radius, color, ("on", ground))
    return scene


_PAINTS = ("red", "blue", "white", "black", "gray", "yellow")


def _sky(scene: Scene, horizon: float) -> None:
    rng, w = scene.rng, scene.width
    high, low = scene.pick(((0.2, 0.42, 0.75), (0.68, 0.8, 0.9)), ((0.5, 0.58, 0.68), (0.82, 0.84, 0.85)))
    sky = scene.part(box(-2, -2, w + 2, scene.height + 2), Paint(high, round=0, grain=0.05))
    rows = np.clip(np.linspace(0, scene.height / horizon, scene.height), 0, 1)[:, None, None]
    scene.canvas.color[:] = np.array(high) * (1 - rows) + np.array(low) * rows
    scene.name("sky", [scene.pick("clear", "bright")], [sky])
    for _ in range(rng.integers(1, 4)):
        x, y, r = rng.uniform(0, w), rng.uniform(0.08, 0.55) * horizon, rng.uniform(0.07, 0.13) * w
        dark = rng.random() < 0.25
        paint = Paint((0.62, 0.64, 0.68) if dark else (0.95, 0.95, 0.95), round=0.25, grain=0.1)
        cloud = scene.part(blob(rng, x, y, r, 0.36 * r, 0.16), paint)
        for side in (-0.55, 0.5):
            scene.part(blob(rng, x + side * r, y + 0.12 * r, 0.65 * r, 0.25 * r, 0.16), paint, cloud)
        scene.name("cloud", ["dark" if dark else "white"], [cloud], ("in", "sky"), r, x)


def _ground(scene: Scene, horizon: float, street: bool) -> str:
    """Grass, with a path or a road across it; the name of what the near things stand on."""
    rng, w, h = scene.rng, scene.width, scene.height
    edge = horizon + 0.06 * h
    dry = rng.random() < 0.3
    dark, light = ((0.5, 0.46, 0.2), (0.66, 0.6, 0.32)) if dry else ((0.2, 0.38, 0.1), (0.38, 0.55, 0.18))
    paint = Paint(dark, "rough", light, round=0, grain=0.4)
    wave = [(x, edge + rng.uniform(-0.02, 0.02) * h) for x in np.linspace(w + 2, -2, 9)]
    grass = scene.part(np.array([(-2, h + 2), (w + 2, h + 2), *wave]), paint)
    scene.name("grass", ["dry" if dry else "green"], [grass])
    if street:
        band = np.array([(-2, 0.66 * h), (w + 2, 0.64 * h), (w + 2, h + 2), (-2, h + 2)])
        road = scene.part(band, Paint((0.33, 0.33, 0.34), "rough", (0.42, 0.42, 0.42), round=0, grain=0.2))
        for x in np.arange(rng.uniform(-0.1, 0.1), 1.0, 0.24) * w:
            line = np.array([(x, 0.84 * h), (x + 0.1 * w, 0.835 * h), (x + 0.1 * w, 0.852 * h), (x, 0.857 * h)])
            scene.part(line, Paint((0.85, 0.84, 0.78), round=0), road)
        scene.name("road", [scene.pick("paved", "gray")], [road])
        return "road"
    bend, foot = rng.uniform(0.2, 0.8) * w, rng.uniform(0.1, 0.9) * w
    left = [(bend - 5, edge + 6), (0.5 * (bend + foot) - 0.02 * w, 0.72 * h), (foot - 0.11 * w, h + 2)]
    right = [(foot + 0.11 * w, h + 2), (0.5 * (bend + foot) + 0.05 * w, 0.72 * h), (bend + 5, edge + 6)]
    paint = Paint((0.63, 0.56, 0.45), "rough", (0.5, 0.44, 0.36), round=0, grain=0.3)
    scene.name("path", ["dirt"], [scene.part(np.array(left + right), paint)])
    return "grass"


def _house(scene: Scene, x: float, foot: float, s: float) -> None:
    rng, half = scene.rng, s * scene.rng.uniform(0.62, 0.95)
    brick = rng.random() < 0.5
    shade = scene.pick("white", "yellow", "tan", "blue")
    wall = Paint((0.55, 0.25, 0.18), "brick", (0.72, 0.66, 0.6), 7.0, 0, 0, 0.25) if brick else \
        Paint(scene.near(shade), "striped", tuple(0.92 * np.array(COLORS[shade])), 6.0, 0, 0)  # fmt: skip
    body = scene.part(box(x - half, foot - 0.62 * s, x + half, foot), wall)
    color = scene.pick("red", "gray", "brown", "black")
    top = foot - s
    slope = np.array([(x - 1.15 * half, foot - 0.58 * s), (x - 0.65 * half, top), (x + 0.65 * half, top),
                      (x + 1.15 * half, foot - 0.58 * s)])  # fmt: skip
    tiles = Paint(scene.near(color), "striped", tuple(0.7 * np.array(COLORS[color])), 5.0, 0.0, 0, 0.2)
    roof = scene.part(slope, tiles)
    panes = scene.grid(x - half, foot - 0.56 * s, x + half, foot - 0.1 * s, 1, 3, Paint((0.2, 0.26, 0.33), grain=0.5))
    paint = scene.pick("red", "green", "brown", "white")
    at = x + scene.pick(-0.5, 0.5) * half * 0.66
    door = scene.part(box(at - 0.1 * s, foot - 0.36 * s, at + 0.1 * s, foot), Paint(scene.near(paint), round=0))
    scene.name("house", ["brick" if brick else shade], [body, roof, door, *panes], None, s, x)
    scene.name("roof", [color], [roof], ("of", "house"), 0.4 * s, x)
    scene.name("door", [paint], [door], ("of", "house"), 0.36 * s, at)
    for i, pane in enumerate(panes):
        scene.name("window", ["glass"], [pane], ("on", "house"), 0.3 * s, x + (i - 1) * 0.66 * half)


def _tree(scene: Scene, x: float, foot: float, s: float) -> None:
    rng = scene.rng
    bark = Paint((0.3, 0.22, 0.15), "striped", (0.2, 0.14, 0.1), 4.0, 1.5, 0.7)
    scene.canvas.shadow(ellipse(x + 0.15 * s, foot, 0.3 * s, 0.05 * s), 0.45, 4)
    lean = rng.normal(0, 0.03 * s)
    trunk = scene.part(np.array([(x - 0.05 * s, foot), (x - 0.03 * s + lean, foot - 0.6 * s),
                                 (x + 0.03 * s + lean, foot - 0.6 * s), (x + 0.06 * s, foot)]), bark)  # fmt: skip
    if rng.random() < 0.15:
        for side in (-0.3, -0.12, 0.1, 0.28):
            branch = [(x + lean - 2, foot - 0.5 * s), (x + lean + side * s, foot - s * rng.uniform(0.8, 1.0)),
                      (x + lean + 2, foot - 0.5 * s)]  # fmt: skip
            scene.part(np.array(branch), bark, trunk)
        scene.name("tree", ["bare"], [trunk], None, s, x)
        return
    color, light = scene.pick(*(((0.1, 0.27, 0.08), (0.3, 0.46, 0.15)),) * 3, ((0.55, 0.26, 0.05), (0.82, 0.5, 0.12)))
    leaves = Paint(color, "rough", light, round=0.75, grain=0.6)
    crown = scene.part(blob(rng, x + lean, foot - 0.68 * s, 0.26 * s, 0.3 * s, 0.12), leaves)
    for _ in range(4):
        at = rng.normal(0, 0.13 * s, 2)
        scene.part(blob(rng, x + lean + at[0], foot - 0.68 * s + at[1], 0.15 * s, 0.14 * s, 0.14), leaves, crown)
    scene.name("tree", ["green" if light[1] > light[0] else "orange"], [trunk, crown], None, s, x)


def _bench(scene: Scene, x: float, foot: float, s: float) -> None:
    wooden = scene.rng.random() < 0.7
    paint = Paint((0.48, 0.3, 0.15), "wooden", (0.3, 0.18, 0.09), 5.0, 0, 0.2) if wooden else Paint((0.5, 0.52, 0.55))
    scene.canvas.shadow(ellipse(x, foot, 0.55 * s, 0.06 * s), 0.5, 3)
    bench = scene.part(box(x - 0.42 * s, foot - 0.2 * s, x - 0.37 * s, foot), paint)
    scene.part(box(x + 0.37 * s, foot - 0.2 * s, x + 0.42 * s, foot), paint, bench)
    for height in (0.22, 0.33, 0.42):
        scene.part(box(x - 0.5 * s, foot - height * s - 0.06 * s, x + 0.5 * s, foot - height * s), paint, bench)
    scene.name("bench", ["wooden" if wooden else "metal"], [bench], ("on", "grass"), 0.5 * s, x)


def _car(scene: Scene, x: float, foot: float, s: float, color: str) -> None:
    flip = scene.pick(-1, 1)

    def at(*points) -> np.ndarray:
        return np.array([(x + flip * u * s, foot + v * s) for u, v in points])

    scene.canvas.shadow(ellipse(x, foot - 0.01 * s, 0.53 * s, 0.05 * s), 0.7, 4)
    body = smooth(at((-0.5, -0.06), (-0.5, -0.2), (-0.3, -0.24), (-0.2, -0.4), (0.14, -0.41), (0.28, -0.25),
                     (0.48, -0.21), (0.51, -0.06)))  # fmt: skip
    car = scene.part(body, Paint(scene.near(color), round=0.6, grain=0.06))
    glass = Paint((0.16, 0.19, 0.23), round=0.2, grain=0.6)
    panes = [scene.part(at((-0.25, -0.25), (-0.18, -0.375), (-0.04, -0.38), (-0.04, -0.25)), glass),
             scene.part(at((-0.01, -0.25), (-0.01, -0.38), (0.12, -0.38), (0.22, -0.25)), glass)]  # fmt: skip
    lamp = scene.part(at((0.46, -0.19), (0.5, -0.18), (0.5, -0.14), (0.45, -0.14)), Paint((0.95, 0.9, 0.7)))
    wheels = []
    for u in (-0.31, 0.31):
        wheels.append(scene.part(ellipse(x + u * s, foot - 0.08 * s, 0.085 * s, 0.085 * s), Paint((0.07, 0.07, 0.08))))
        rim = ellipse(x + u * s, foot - 0.08 * s, 0.045 * s, 0.045 * s)
        scene.part(rim, Paint((0.6, 0.61, 0.63), round=0.6), wheels[-1])
        scene.name("wheel", ["black"], [wheels[-1]], ("of", f"{color} car"), 0.17 * s, x + u * s)
    scene.name("car", [color], [car, lamp, *panes, *wheels], ("on", "road"), 0.4 * s, x)


def _person(scene: Scene, x: float, foot: float, s: float, color: str, ground: str) -> None:
    rng, flip = scene.rng, scene.pick(-1, 1)

    def at(*points) -> np.ndarray:
        return np.array([(x + flip * u * s, foot - v * s) for u, v in points])

    skin = Paint(scene.pick(*_SKIN), round=0.5)
    pattern = scene.pick("plain", "striped", "checked", "plain")
    other = "white" if color != "white" else scene.pick("red", "blue", "black")
    shirt_paint = Paint(scene.near(color), pattern, COLORS[other], 0.05 * s, rng.normal(0, 0.05), 0.4)
    trousers = scene.pick(*(name for name in ("blue", "black", "tan", "gray") if name != color))
    legs = Paint(scene.near(trousers), round=0.5)
    hair = Paint(scene.pick((0.1, 0.07, 0.05), (0.3, 0.18, 0.09), (0.75, 0.58, 0.3)), grain=0.4)
    scene.canvas.shadow(ellipse(x + 0.08 * s, foot, 0.2 * s, 0.03 * s), 0.6, 3)
    stride = rng.uniform(0.02, 0.09)
    pants = scene.part(at((-0.1, 0.5), (0.02, 0.5), (-stride + 0.03, 0.04), (-stride - 0.05, 0.04)), legs)
    scene.part(at((-0.03, 0.5), (0.1, 0.5), (stride + 0.05, 0.04), (stride - 0.03, 0.04)), legs, pants)
    body = [pants]
    for u in (-stride, stride):
        shoe = ellipse(x + flip * (u + 0.02) * s, foot - 0.02 * s, 0.06 * s, 0.025 * s)
        body.append(scene.part(shoe, Paint((0.12, 0.11, 0.11))))
    swing = rng.uniform(-0.05, 0.08)
    for side in (-1, 1):
        hand = (side * 0.16 + swing, 0.44)
        arm = at((side * 0.11, 0.7), (side * 0.15, 0.7), (hand[0] + 0.025, 0.43), (hand[0] - 0.02, 0.43))
        body.append(scene.part(arm, skin))
        body.append(scene.part(ellipse(x + flip * hand[0] * s, foot - hand[1] * s, 0.028 * s, 0.032 * s), skin))
    shirt = scene.part(smooth(at((-0.12, 0.47), (-0.13, 0.8), (-0.04, 0.84), (0.04, 0.84), (0.13, 0.8), (0.12, 0.47))),
                       shirt_paint)  # fmt: skip
    for side in (-1, 1):
        sleeve = at(
            (side * 0.09, 0.81), (side * 0.15, 0.78), (side * 0.17 + swing / 2, 0.62), (side * 0.1 + swing / 2, 0.62)
        )
        scene.part(sleeve, shirt_paint, shirt)
    body += [shirt, scene.part(ellipse(x, foot - 0.84 * s, 0.03 * s, 0.04 * s), skin)]
    body.append(scene.part(ellipse(x, foot - 0.925 * s, 0.058 * s, 0.075 * s), skin))
    for u in (-0.01, 0.03):
        scene.part(
            ellipse(x + flip * u * s, foot - 0.932 * s, 0.007 * s, 0.008 * s), Paint((0.08, 0.05, 0.04)), body[-1]
        )
    mouth = ellipse(x + flip * 0.012 * s, foot - 0.89 * s, 0.018 * s, 0.005 * s)
    scene.part(mouth, Paint((0.55, 0.25, 0.2)), body[-1])
    look = (f"{color} shirt") if pattern == "plain" else f"{pattern} shirt"
    if rng.random() < 0.35:
        cap = scene.pick("red", "blue", "black", "white")
        hat = scene.part(
            ellipse(x, foot - 0.96 * s, 0.064 * s, 0.05 * s, turn=(np.pi, 2 * np.pi)), Paint(scene.near(cap))
        )
        scene.part(box(x - 0.064 * s, foot - 0.968 * s, x + 0.064 * s + flip * 0.04 * s, foot - 0.95 * s),
                   Paint(scene.near(cap)), hat)  # fmt: skip
        scene.name("hat", [cap], [hat], None, 0.06 * s, x)
        body.append(hat)
    else:
        crown = ellipse(x - flip * 0.008 * s, foot - 0.955 * s, 0.064 * s, 0.055 * s, turn=(0.95 * np.pi, 2.05 * np.pi))
        body.append(scene.part(crown, hair))
    plain = [color] if pattern == "plain" else [pattern, color]
    scene.name("shirt", plain, [shirt], None, 0.35 * s, x)
    scene.name("pants", [trousers], [pants], None, 0.5 * s, x)
    scene.name("person", ["standing"], body, ("wearing", look), s, x)


def _dog(scene: Scene, x: float, foot: float, height: float, coat: str, ground: str) -> None:
    rng, flip, s = scene.rng, scene.pick(-1, 1), height * scene.rng.uniform(0.42, 0.6)
    spotted = coat == "white" and rng.random() < 0.5
    paint = Paint(scene.near(coat), "dotted" if spotted else "plain", (0.2, 0.14, 0.1), 0.28 * s, 0.5, 0.65, 0.3)
    dark = Paint(tuple(0.6 * np.array(paint.color)), round=0.4, grain=0.3)

    def oval(u: float, v: float, ru: float, rv: float, angle: float = 0.0) -> np.ndarray:
        return ellipse(x + flip * u * s, foot - v * s, ru * s, rv * s, flip * angle)

    scene.canvas.shadow(oval(0, 0.01, 0.5, 0.06), 0.6, 3)
    dog = scene.part(oval(-0.3, 0.2, 0.05, 0.22), dark)
    for u, v, ru, rv, angle, look in (
        (0.24, 0.2, 0.045, 0.22, 0, dark), (-0.52, 0.68, 0.17, 0.035, 0.8, paint), (0, 0.5, 0.42, 0.17, -0.05, paint),
        (-0.36, 0.22, 0.06, 0.23, 0, paint), (0.32, 0.22, 0.055, 0.23, 0, paint), (0.4, 0.68, 0.13, 0.2, 0.5, paint),
        (0.5, 0.85, 0.16, 0.13, 0, paint), (0.64, 0.8, 0.12, 0.07, 0.1, paint), (0.4, 0.84, 0.06, 0.13, 0.25, dark),
        (0.75, 0.82, 0.032, 0.028, 0, Paint((0.04,) * 3)), (0.55, 0.89, 0.02, 0.02, 0, Paint((0.03,) * 3)),
    ):  # fmt: skip
        scene.part(oval(u, v, ru, rv, angle), look, dog)
    words = [coat, *(["spotted"] if spotted else [])]
    scene.name("dog", words, [dog], ("on", ground), s, x)
