"""Generated street scenes: the street, the objects on it, and the camera."""

import cv2
import numpy as np

from promptseg.datasets.cityscapes import roadside, vehicles
from promptseg.datasets.cityscapes.street import Street, Style
from promptseg.datasets.cityscapes.view import BORDER, BUS, EGO, HEIGHT, TRUCK, WIDTH, View, noise

STEP = 5  # between the values of a channel: invisible among texture and grain, and halves the size of the PNG
STYLES = {
    "old town": Style(
        paints=((196, 180, 146), (176, 150, 120), (190, 186, 178), (164, 128, 104), (208, 198, 172)),
        roofs=((124, 74, 58), (96, 66, 58)), slabs=(140, 134, 124),
        widths=(7, 13), storeys=(2, 4), ridge=4.0, shops=0.7, openness=0.05, lanes=(1, 2), trees=0.25,
    ),
    "blocks": Style(
        paints=((168, 164, 156), (142, 138, 134), (186, 176, 160), (130, 116, 106)),
        roofs=((86, 84, 84), (104, 88, 80)), cast=(0.97, 1.0, 0.99),
        widths=(14, 28), storeys=(3, 6), ridge=1.2, shops=0.5, lanes=(1, 4), tram=0.5, trees=0.5,
    ),
    "suburb": Style(
        paints=((214, 208, 196), (186, 176, 158), (170, 112, 92), (200, 196, 190)),
        roofs=((128, 72, 54), (84, 78, 76)), cast=(1.02, 1.0, 0.96),
        widths=(9, 14), storeys=(1, 2), ridge=4.5, openness=0.65, shops=0.05, lanes=(1, 2), garden=0.9, trees=0.85,
    ),
    "brick": Style(
        paints=((142, 86, 70), (128, 78, 66), (156, 104, 84), (150, 140, 128)),
        roofs=((80, 72, 70), (96, 80, 74)), slabs=(120, 108, 102), sky=(206, 218, 232), cast=(0.96, 1.0, 1.03),
        widths=(8, 16), storeys=(2, 5), ridge=3.0, openness=0.2, garden=0.3, trees=0.6,
    ),
    "new": Style(
        paints=((190, 192, 194), (120, 128, 136), (206, 204, 198), (98, 100, 106)),
        roofs=((90, 92, 94),), asphalt=(112, 112, 114), cast=(0.98, 1.01, 0.97),
        widths=(18, 36), storeys=(4, 8), ridge=0.8, openness=0.35, shops=0.4, lanes=(2, 4), pavement=(3.5, 6.0),
        trees=0.6, tram=0.3,
    ),
}  # fmt: skip


def street_scene(rng: np.random.Generator, style: Style) -> tuple[np.ndarray, np.ndarray]:
    """Generate a street scene.

    Args:
        rng: random generator.
        style: style of the city, a value of STYLES.

    Returns:
        Photo (256, 512, 3) uint8 RGB and official label ids (256, 512) uint8.
    """
    sunlight = float(rng.choice((0.0, 0.3, 1.0)))
    view = View(
        center=WIDTH * rng.uniform(0.36, 0.64),
        horizon=HEIGHT * rng.uniform(0.4, 0.47),
        veil=np.array(style.veil) * rng.uniform(0.9, 1.05),
        clear=float(rng.choice((140, 260, 420))),
        sunlight=sunlight,
        side=int(rng.choice((-1, 1))),
    )
    street = Street(rng, view, style)
    street.draw()
    for x, z, draw in sorted(_objects(rng, view, street), key=lambda item: -item[1]):
        draw(rng, view, x, z, light=street.shaded(x, z) * (0.84 + 0.22 * sunlight))
    return _camera(rng, view, style), view.labels


def _objects(rng: np.random.Generator, view: View, street: Street) -> list[tuple]:
    """Sample the objects of a scene as (x, z, function that draws it), in no order."""
    things, crossing = [], street.crossing or -99
    busy = rng.uniform(0.3, 1)

    def clear_of_crossing(z):
        return not crossing - 7 < z < crossing + 10

    for side in (-1, 1):
        kerb, path = street.kerb[side] * side, street.path[side] * side
        z = rng.uniform(5, 12)
        while street.bays[side] and z < 85:
            if rng.random() < 0.4 + 0.5 * busy and clear_of_crossing(z):
                things.append((kerb - side * rng.uniform(1.0, 1.2), z, _car(away=side > 0)))
            z += rng.uniform(5.2, 7)
        for z in np.arange(rng.uniform(6, 18), 100, rng.uniform(8, 16)):
            if rng.random() < street.style.trees and clear_of_crossing(z):
                things.append((kerb + side * rng.uniform(0.7, 1.1), z + rng.normal(), roadside.tree))
        for z in np.arange(rng.uniform(8, 25), 100, rng.uniform(22, 32)):
            things.append((kerb + side * 0.6, z, roadside.lamp))
        for _ in range(rng.integers(1, 5)):
            things.append((kerb + side * 0.5, rng.uniform(7, 50), roadside.sign))
        for _ in range(rng.poisson(5 * busy)):
            things.append((kerb + (path - kerb) * rng.uniform(0.15, 0.9), rng.uniform(6, 45), roadside.person))
        for _ in range(rng.poisson(0.7)):
            near = rng.choice((vehicles.bicycle, roadside.cabinet))
            things.append((path - side * 0.6, rng.uniform(7, 30), near))
        if street.green[side]:
            for _ in range(rng.integers(2, 7)):
                things.append((path + side * (1 + street.green[side] * 0.6), rng.uniform(8, 80), roadside.tree))
        if street.crossing:
            things.append((kerb + side * 0.5, crossing - 5.5 + rng.uniform(0, 0.5), roadside.traffic_light))
    if street.crossing:
        for _ in range(rng.poisson(2.5 * busy)):
            x = rng.uniform(-street.kerb[-1], street.kerb[1])
            things.append((x, max(crossing - rng.uniform(1.5, 4.5), 7), roadside.person))
    if rng.random() < 0.75:  # ahead in the camera's lane
        things.append((rng.normal(0, 0.2), rng.uniform(9, 45), _car(away=True)))
    for lane in range(street.lanes):
        oncoming, z = lane >= street.lanes // 2, rng.uniform(8, 30)
        while z < 90:
            x = -street.lane * (lane + 1) + rng.normal(0, 0.15)
            if rng.random() < 0.12 and not oncoming:
                things.append((x, z, _box(int(rng.choice((BUS, TRUCK))))))
            elif rng.random() < 0.7 * busy:
                things.append((x, z, _car(away=not oncoming)))
            z += rng.uniform(13, 40)
    if rng.random() < 0.35:
        things.append((street.kerb[1] - 2.2 * street.bays[1] - 0.5, rng.uniform(8, 25), _rider))
    return things


def _car(away: bool):
    return lambda rng, view, x, z, light: vehicles.car(rng, view, x, z, away, light)


def _box(label: int):
    return lambda rng, view, x, z, light: vehicles.box(rng, view, x, z, label, light)


def _rider(rng, view, x, z, light) -> None:
    roadside.person(rng, view, x, z, light, riding=True)


def _camera(rng: np.random.Generator, view: View, style: Style) -> np.ndarray:
    """Render (h, w, 3) uint8: ego vehicle and image border, then effects of lens and sensor."""
    across = (np.arange(WIDTH, dtype=np.float32) + 0.5) / WIDTH * 2 - 1
    bonnet = HEIGHT * (0.985 - 0.085 * np.sqrt(np.clip(1 - (across * 1.02) ** 2, 0, 1)))
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    ego = rows > bonnet
    metal = 52 + 60 * np.exp(-np.abs(rows - bonnet) / 2.5) + 25 * np.abs(across)
    view.image[ego] = np.clip(metal, 0, 255)[ego][:, None]
    view.labels[ego] = EGO
    view.labels[:, :2] = view.labels[:, -2:] = view.labels[:2] = BORDER
    small = cv2.GaussianBlur(cv2.resize(view.image, (64, 32), interpolation=cv2.INTER_AREA), (0, 0), 3)
    sharp, glare = cv2.GaussianBlur(view.image, (0, 0), 0.55), cv2.resize(small, (WIDTH, HEIGHT))
    image = cv2.addWeighted(sharp, 0.93, glare, 0.07, 0)
    far = across[None] ** 2 + (rows / HEIGHT * 2 - 1) ** 2
    grain = rng.uniform(0.3, 1.0) * noise(rng, HEIGHT, WIDTH, 2, 1)
    image = np.clip(image * (1.03 - 0.07 * far)[..., None] + grain[..., None], 0, 255).astype(np.uint8)
    gain, gamma = rng.uniform(0.95, 1.25) * np.array(style.cast), rng.uniform(0.85, 1.15)
    tone = 255 * np.clip(np.arange(256)[:, None] / 255 * gain, 0, 1) ** gamma
    levels = np.round(tone / STEP) * STEP
    return cv2.LUT(image, np.clip(levels, 0, 255).astype(np.uint8)[None])
