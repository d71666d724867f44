"""The six kinds of scenes of the stand-in: beach, meadow, street, room, lake and snow."""

import cv2
import numpy as np

from promptseg.datasets.coco_stuff import materials
from promptseg.datasets.coco_stuff.scene import HEIGHT, WIDTH, Scene
from promptseg.synthetic.figure import Part, box, points
from promptseg.synthetic.texture import noise, ridge, smoothstep


def draw(rng: np.random.Generator, place: int, values: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Render an image (192, 256, 3) and its label map, uint8. place: selects the kind; values: class to label."""
    scene = Scene(rng, values)
    (beach, meadow, street, room, lake, winter)[place % 6](scene)
    return scene.finish()


def _populate(scene: Scene, horizon: float, kinds: tuple[str, ...], most: int, tall: float) -> None:
    """Things on the ground, the far ones first and smaller; tall: pixels at the lower border."""
    rng = scene.rng
    for row in np.sort(rng.uniform(horizon + 10, HEIGHT - 2, rng.integers(1, most + 1))):
        near = 0.25 + 0.75 * (row - horizon) / (HEIGHT - horizon)
        kind = kinds[rng.integers(len(kinds))]
        low = {"dog": 0.5, "sheep": 0.6, "car": 0.95, "bench": 0.55, "umbrella": 0.8}.get(kind, 1.0)
        scene.stand(kind, (rng.uniform(15, WIDTH - 15), row), tall * near * low * rng.uniform(0.8, 1.2))


def beach(scene: Scene) -> None:
    rng, horizon = scene.rng, HEIGHT * scene.rng.uniform(0.3, 0.5)
    scene.sky(horizon)
    if rng.random() < 0.5:
        scene.ridge("hill", horizon, rng.uniform(12, 30), 0.3, haze=0.5)
    sea = materials.ground(rng, "sea", HEIGHT, WIDTH, horizon)
    scene.lay("sea", sea + (scene.air - sea) * rng.uniform(0.2, 0.6), scene.y > horizon, 0.6)
    for _ in range(rng.integers(0, 3)):
        scene.stand("boat", (rng.uniform(20, WIDTH - 20), horizon + rng.uniform(3, 14)), rng.uniform(18, 38))
    slope = rng.uniform(-0.12, 0.12) * (scene.x[0] - WIDTH / 2)
    shore = horizon + rng.uniform(22, 55) + ridge(rng, WIDTH, 10, 0.5) + slope
    foam = np.exp(-(((scene.y - shore) / 3) ** 2)) * (scene.labels == scene.values["sea"])
    scene.picture += (0.95 - scene.picture) * foam[..., None] * 0.8
    scene.lay("sand", materials.ground(rng, "sand", HEIGHT, WIDTH, horizon), scene.y > shore, 2.0)
    if rng.random() < 0.4:
        cliff = scene.y > 1.25 * HEIGHT - 0.7 * scene.x + ridge(rng, WIDTH, 12, 0.1)
        scene.lay("rock", materials.ground(rng, "rock", HEIGHT, WIDTH), cliff, 0.7)
    scene.stray(rng.integers(0, 4))
    _populate(scene, float(np.mean(shore)), ("person", "person", "dog", "umbrella"), 4, rng.uniform(70, 120))
    for _ in range(rng.integers(0, 3)):
        kind = "kite" if rng.random() < 0.6 else "bird"
        scene.stand(kind, rng.uniform((20, 30), (WIDTH - 20, horizon)), rng.uniform(14, 30))


def meadow(scene: Scene) -> None:
    rng, horizon = scene.rng, HEIGHT * scene.rng.uniform(0.35, 0.55)
    scene.sky(horizon)
    if rng.random() < 0.7:
        scene.ridge("mountain", horizon, rng.uniform(30, 60), 0.4, haze=rng.uniform(0.3, 0.6))
    scene.ridge("tree", horizon + 4, rng.uniform(18, 48), rng.uniform(0.08, 0.25), haze=0.15, soft=1.0)
    scene.ground("grass", horizon, soft=1.5)
    if rng.random() < 0.5:
        middle = WIDTH * rng.uniform(0.3, 0.7) + rng.uniform(-1.2, 1.2) * (scene.y - HEIGHT) + 18 * np.sin(scene.y / 23)
        path = (np.abs(scene.x - middle) < 0.28 * (scene.y - horizon)) & (scene.y > horizon)
        scene.lay("dirt", materials.ground(rng, "dirt", HEIGHT, WIDTH, horizon), path, 2.5)
    if rng.random() < 0.5:
        scene.ridge("bush", horizon + rng.uniform(12, 30), rng.uniform(10, 24), 0.05, soft=1.2)
        scene.ground("grass", horizon + 32, 6.0, 2.0)
    scene.stray(rng.integers(0, 3))
    kinds = (("cow", "sheep", "person"), ("dog", "person", "kite"), ("person", "bench", "dog"))[rng.integers(3)]
    _populate(scene, horizon, kinds, 5, rng.uniform(60, 110))
    for _ in range(rng.integers(0, 2)):
        scene.stand("bird", rng.uniform((20, 20), (WIDTH - 20, horizon)), rng.uniform(10, 24))


def street(scene: Scene) -> None:
    rng, horizon = scene.rng, HEIGHT * scene.rng.uniform(0.42, 0.58)
    scene.sky(horizon)
    left = -30.0
    while left < WIDTH:
        wide, top = rng.uniform(40, 100), horizon - rng.uniform(15, 1.1 * horizon)
        name = ("building-other", "building-other", "wall-brick", "house")[rng.integers(4)]
        texture = materials.bricks(rng, HEIGHT, WIDTH) if name == "wall-brick" else materials.facade(rng, HEIGHT, WIDTH)
        if rng.random() < 0.85:
            house = (scene.x > left) & (scene.x < left + wide) & (scene.y > top)
            scene.lay(name, texture * rng.uniform(0.7, 1.1), house)
        left += wide + rng.choice((0, 0, 12))
    for _ in range(rng.integers(0, 4)):
        at, r = (rng.uniform(0, WIDTH), horizon - rng.uniform(5, 40)), rng.uniform(16, 34)
        crown = np.hypot(scene.x - at[0], scene.y - at[1]) < r * (0.6 + 0.7 * noise(rng, HEIGHT, WIDTH, 16, 3))
        trunk = (np.abs(scene.x - at[0]) < 3) & (scene.y > at[1])
        scene.lay("tree", materials.ground(rng, "tree", HEIGHT, WIDTH), crown | trunk, 1.0)
    scene.ground("pavement", horizon, 1.0, 0.5)
    road = scene.y > horizon + rng.uniform(6, 20) + rng.uniform(-0.08, 0.08) * scene.x
    texture = materials.ground(rng, "road", HEIGHT, WIDTH, horizon)
    dashes = (np.abs(scene.y - (horizon + HEIGHT) / 2 - 8) < 1.6) & (scene.x % 50 < 28)
    scene.lay("road", np.where(dashes[..., None], 0.85, texture), road, 0.6)
    _populate(scene, horizon, ("car", "car", "person", "person", "dog"), 6, rng.uniform(65, 100))


def room(scene: Scene) -> None:
    rng, horizon = scene.rng, HEIGHT * scene.rng.uniform(0.5, 0.68)
    name = ("wall-brick", "wall-other", "wall-other", "wall-wood")[rng.integers(4)]
    if name == "wall-wood":
        texture = materials.planks(rng, HEIGHT, WIDTH, -500)
    else:
        texture = (materials.bricks if name == "wall-brick" else materials.wall)(rng, HEIGHT, WIDTH)
    scene.lay(name, texture, np.ones((HEIGHT, WIDTH)))
    for name in ("window-other", "door-stuff")[: rng.integers(0, 3)]:
        _opening(scene, name, horizon)
    floor = rng.random() < 0.75
    if floor:
        scene.lay("floor-wood", materials.planks(rng, HEIGHT, WIDTH, horizon - 20), scene.y > horizon)
    else:
        scene.lay("carpet", materials.woven(rng, HEIGHT, WIDTH) * 0.8, scene.y > horizon)
    if floor and rng.random() < 0.6:
        at = (rng.uniform(60, WIDTH - 60), rng.uniform(horizon + 25, HEIGHT - 12))
        oval_rug = ((scene.x - at[0]) / rng.uniform(50, 90)) ** 2 + ((scene.y - at[1]) / rng.uniform(14, 24)) ** 2 < 1
        scene.lay("rug", materials.woven(rng, HEIGHT, WIDTH), oval_rug, 0.6)
    if rng.random() < 0.7:
        scene.stand("couch", (rng.uniform(60, WIDTH - 60), horizon + rng.uniform(12, 30)), rng.uniform(65, 90))
    if rng.random() < 0.6:
        corner = rng.choice((rng.uniform(10, 50), rng.uniform(206, 246)))
        scene.stand("potted plant", (corner, horizon + rng.uniform(5, 25)), rng.uniform(45, 80))
    scene.stray(rng.integers(1, 5))
    _populate(scene, horizon - 10, ("person", "dog", "dog"), 2, rng.uniform(120, 150))
    scene.picture *= (0.75 + 0.45 * smoothstep(noise(rng, HEIGHT, WIDTH, 160, 2), 0.2, 0.8))[..., None]  # lamps


def _opening(scene: Scene, name: str, floor: float) -> None:
    """A window with the sky behind it, or a door down to the floor."""
    rng = scene.rng
    left, wide = rng.uniform(5, WIDTH - 70), rng.uniform(35, 65)
    if name == "window-other":
        top, low = rng.uniform(15, 30), floor - rng.uniform(15, 40)
        pane = materials.sky(rng, HEIGHT, WIDTH, floor)[0] * 1.1
    else:
        top, low = floor - 90, floor
        pane = materials.planks(rng, HEIGHT, WIDTH, -900) * 0.8
    inside = (np.abs(scene.x - left - wide / 2) < wide / 2) & (scene.y > top) & (scene.y < low)
    frame = (np.abs(scene.y - top) < 3) | (np.abs(scene.y - low) < 3)
    frame |= np.abs((scene.x - left) % (wide / 2) - 1) < 3
    scene.lay(name, np.where(frame[..., None], 0.85, pane), inside)


def lake(scene: Scene) -> None:
    rng, horizon = scene.rng, HEIGHT * scene.rng.uniform(0.4, 0.55)
    scene.sky(horizon)
    scene.ridge("mountain", horizon, rng.uniform(45, 75), 0.35, haze=rng.uniform(0.25, 0.55))
    scene.ridge("tree", horizon, rng.uniform(10, 26), 0.08, haze=0.25)
    water = materials.ground(rng, "river", HEIGHT, WIDTH, horizon)
    mirror = scene.picture[np.clip(2 * int(horizon) - np.arange(HEIGHT), 0, HEIGHT - 1)]
    water += (cv2.GaussianBlur(mirror, (0, 0), 3) - water) * rng.uniform(0.3, 0.65)
    scene.lay("river", water, scene.y > horizon, 0.6)
    _populate(scene, horizon, ("boat", "boat", "bird"), 3, rng.uniform(60, 100))
    bank = HEIGHT - rng.uniform(12, 45) + ridge(rng, WIDTH, 14, 0.4)
    scene.lay("grass", materials.ground(rng, "grass", HEIGHT, WIDTH, horizon), scene.y > bank, 2.0)
    if rng.random() < 0.6:
        scene.stand("person", (rng.uniform(30, WIDTH - 30), HEIGHT - rng.uniform(0, 10)), rng.uniform(60, 110))


def winter(scene: Scene) -> None:
    rng, horizon = scene.rng, HEIGHT * scene.rng.uniform(0.3, 0.5)
    scene.sky(horizon)
    if rng.random() < 0.7:
        scene.ridge("mountain", horizon + 5, rng.uniform(30, 60), 0.3, haze=0.6)
    if rng.random() < 0.7:
        scene.ridge("tree", horizon + 10, rng.uniform(15, 40), 0.06, haze=0.2)
    edge = horizon + 8 + rng.uniform(-0.25, 0.25) * (scene.x - WIDTH / 2) + ridge(rng, WIDTH, 6, 0.4)
    scene.lay("snow", materials.ground(rng, "snow", HEIGHT, WIDTH, horizon), scene.y > edge, 1.5)
    if rng.random() < 0.4:
        rails = [Part(points((0, horizon + y), (WIDTH, horizon + y)), (0.35, 0.28, 0.2), 3) for y in (32, 44)]
        posts = [Part(box(x, horizon + 26, x + 4, horizon + 58), (0.3, 0.24, 0.18)) for x in range(10, WIDTH, 42)]
        scene.figure(rails + posts, np.eye(2, 3), scene.values["fence"], 1.0)
    scene.stray(rng.integers(0, 3))
    _populate(scene, horizon + 30, ("person", "person", "dog"), 4, rng.uniform(70, 120))
