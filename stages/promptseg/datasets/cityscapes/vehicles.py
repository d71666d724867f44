"""Cars, vans, trucks, buses and bicycles, as boxes with a cabin; one end and at most one side of each is visible."""

import numpy as np

from promptseg.datasets.cityscapes.view import BICYCLE, BUS, CAR, View, circle

PAINTS = np.array(
    [(205, 207, 210), (150, 154, 158), (92, 96, 102), (44, 46, 50), (30, 31, 34), (60, 74, 104), (128, 34, 36),
     (190, 184, 172), (46, 66, 60), (176, 150, 60)], np.float32,
)  # fmt: skip
GLASS, TYRE = np.array((46, 52, 58), np.float32), np.array((28, 28, 30), np.float32)


def car(rng: np.random.Generator, view: View, x: float, z: float, away: bool, light: float) -> None:
    """A car whose middle is at x and whose near end at z; away: it shows its rear; light: share of light there."""
    paint = PAINTS[rng.integers(len(PAINTS))] * rng.uniform(0.85, 1.1) * light
    van = rng.random() < 0.15
    half, length = rng.uniform(0.84, 0.94), rng.uniform(3.7, 4.8)
    belt, top = (1.05, rng.uniform(1.75, 1.95)) if van else (rng.uniform(0.88, 0.98), rng.uniform(1.4, 1.56))
    # Where the cabin begins and ends at the belt and at the roof, from the rear.
    rear = rng.choice((0.08, 0.1, 0.75))
    cabin = np.array([rear, length * 0.74, rear + (0.12 if van else 0.42), length * 0.56])
    if not away:
        cabin = length - cabin[[1, 0, 3, 2]]
    inset, rim = half - 0.16, half - 0.04
    left, right = x - half, x + half
    _contact(view, left, right, z, length)
    low = [(a, y, b) for a in (left, right) for y in (0.22, belt) for b in (z, z + length)]
    view.paint([(a, 0.06, b) for a in (left + 0.1, right - 0.1) for b in (z + 0.2, z + length - 0.3)]
               + [(a, 0.4, z) for a in (left, right)], TYRE * 0.7, CAR, hull=True)  # fmt: skip
    roof = [(x + s * inset, top, z + b) for s in (-1, 1) for b in cabin[2:]]
    waist = [(x + s * rim, belt, z + b) for s in (-1, 1) for b in cabin[:2]]
    view.paint(low, paint * 1.08, CAR, hull=True)
    view.paint(roof + waist, paint * 0.95, CAR, hull=True)
    side = -1 if left > 0.1 else 1 if right < -0.1 else 0
    if side:
        _side(view, x, side, half, inset, z, length, belt, top, cabin, paint, light)
    _end(rng, view, x, half, inset, rim, z, belt, top, cabin, paint, light, away)


def _side(view, x, side, half, inset, z, length, belt, top, cabin, paint, light) -> None:
    """The flank towards the middle of the street: sheet metal in two tones, windows, wheels."""
    at = x + side * half

    def flank(points, color):
        view.paint([(at, y, z + b) for b, y in points], color, CAR)

    flank([(0, 0.25), (0, belt), (length, belt), (length, 0.25)], paint * (1.12 if side != view.side else 0.86))
    flank([(0, 0.25), (0, 0.5), (length, 0.5), (length, 0.25)], paint * 0.72)
    mid = x + side * (inset + 0.09)
    b0, b1, t0, t1 = cabin
    post = b0 + 0.47 * (b1 - b0)
    for low, high in ((b0 + 0.12, t0 + 0.06), (post + 0.05, post + 0.05)):
        far = (post - 0.05, post - 0.05) if low < post else (b1 - 0.15, t1 - 0.05)
        points = [(mid, belt + 0.04, z + low), (mid, belt + 0.04, z + far[0]),
                  (x + side * inset, top - 0.06, z + far[1]), (x + side * inset, top - 0.06, z + high)]  # fmt: skip
        view.paint(points, GLASS * (0.8 + 0.5 * light), CAR)
    for place in (0.78, length - 0.85):
        wheel = circle(14)
        flank(np.column_stack([place + 0.36 * wheel[:, 0], 0.34 + 0.36 * wheel[:, 1]]), TYRE * 0.6)
        flank(np.column_stack([place + 0.31 * wheel[:, 0], 0.31 + 0.31 * wheel[:, 1]]), TYRE)
        flank(np.column_stack([place + 0.17 * wheel[:, 0], 0.31 + 0.17 * wheel[:, 1]]), (120 * light,) * 3)


def _end(rng, view, x, half, inset, rim, z, belt, top, cabin, paint, light, away) -> None:
    """The end towards the camera: bumper, lamps, plate, and the window behind it."""

    def face(points, color):
        view.paint([(x + a, y, z) for a, y in points], color, CAR)

    def both(points, color):
        for s in (-1, 1):
            face([(s * a, y) for a, y in points], color)

    near, over = z + cabin[0], z + cabin[2]
    view.paint([(x - rim + 0.1, belt + 0.03, near), (x + rim - 0.1, belt + 0.03, near), (x + inset - 0.08, top - 0.07,
               over), (x - inset + 0.08, top - 0.07, over)], GLASS * (0.9 + 0.7 * light), CAR)  # fmt: skip
    view.paint([(x - rim + 0.3, belt + 0.2, near), (x + 0.2, belt + 0.2, near), (x + 0.05, top - 0.1, over),
                (x - inset + 0.2, top - 0.1, over)], GLASS * (1.2 + light), CAR)  # fmt: skip
    both([(half - 0.25, 0), (half - 0.03, 0), (half - 0.03, 0.34), (half - 0.25, 0.34)], TYRE)
    face([(-half, 0.3), (half, 0.3), (half - 0.03, belt), (-half + 0.03, belt)], paint * 0.92)
    face([(-half, 0.3), (half, 0.3), (half, 0.52), (-half, 0.52)], paint * rng.choice((0.45, 0.8)))
    if away:
        braking = rng.random() < 0.3
        both([(half - 0.3, 0.66), (half - 0.02, 0.66), (half - 0.05, belt - 0.03), (half - 0.2, belt - 0.03)],
             np.array((235, 40, 30)) if braking else np.array((150, 26, 28)) * light)  # fmt: skip
    else:
        face([(-0.45, 0.36), (0.45, 0.36), (0.5, 0.72), (-0.5, 0.72)], TYRE * 1.5)
        both([(half - 0.42, 0.66), (half - 0.05, 0.68), (half - 0.04, 0.82), (half - 0.3, 0.8)],
             np.array((232, 232, 222)) * (0.55 + 0.45 * light))  # fmt: skip
    face([(-0.26, 0.54), (0.26, 0.54), (0.26, 0.65), (-0.26, 0.65)], np.array((214, 214, 206)) * light)


def box(rng: np.random.Generator, view: View, x: float, z: float, label: int, light: float) -> None:
    """A bus or a truck, seen from behind."""
    half, tall = 1.22, rng.uniform(2.9, 3.2) if label == BUS else rng.uniform(2.8, 3.6)
    length = rng.uniform(9, 12) if label == BUS else rng.uniform(6, 9)
    paint = (rng.uniform(80, 215) + rng.normal(0, 28, 3)).astype(np.float32) * light
    _contact(view, x - half, x + half, z, length)
    corners = [(x + a, y, z + b) for a in (-half, half) for y in (0.35, tall) for b in (0, length)]
    view.paint(corners, paint * 0.75, label, hull=True)
    rear = [(-half, 0.35), (half, 0.35), (half, tall), (-half, tall)]
    view.upright(x, z, rear, paint, label)
    side = -1 if x - half > 0 else 1 if x + half < 0 else 0
    if label == BUS:
        view.upright(x, z, [(-1.05, 1.6), (1.05, 1.6), (1.0, 2.6), (-1.0, 2.6)], GLASS * 1.3, label)
        for start in np.arange(0.5, length - 1.3, 1.5) if side else ():
            window = [(x + side * half, y, z + b) for b, y in
                      ((start, 1.5), (start + 1.3, 1.5), (start + 1.3, 2.5), (start, 2.5))]  # fmt: skip
            view.paint(window, GLASS * 1.2, label)
    else:
        view.upright(x, z, [(-0.03, 0.9), (0.03, 0.9), (0.03, tall), (-0.03, tall)], paint * 0.6, label)
    for s in (-1, 1):
        view.upright(x, z, [(s * 0.65, 0.0), (s * 1.15, 0.0), (s * 1.15, 0.7), (s * 0.65, 0.7)], TYRE, label)
        view.upright(x, z, [(s * 0.9, 0.75), (s * 1.15, 0.75), (s * 1.15, 0.95), (s * 0.9, 0.95)], (165, 28, 26), label)
    view.upright(x, z, [(-half, 0.35), (half, 0.35), (half, 0.7), (-half, 0.7)], TYRE * 1.6, label)


def bicycle(rng: np.random.Generator, view: View, x: float, z: float, light: float) -> None:
    """A parked bicycle; labelled without holes, as the annotators do."""
    color = rng.uniform(20, 190, 3) * light
    hub = np.array([(-0.52, 0.34), (0.52, 0.34)])
    for place in hub:
        view.disc(x, z, place, 0.34, None, BICYCLE)  # the background stays visible between the spokes
        ring = 0.33 * circle(12) + place
        for first, last in zip(ring, np.roll(ring, -1, axis=0)):
            view.limb(x, z, first, last, (0.05, 0.05), TYRE, BICYCLE)
    saddle, head = (-0.2, 0.85), (0.36, 0.8)
    crank = (0.0, 0.3)
    for first, last in ((hub[0], saddle), (hub[0], crank), (crank, head), (saddle, head), (crank, saddle),
                        (hub[1], (0.3, 1.02)), ((0.2, 1.05), (0.42, 1.02))):  # fmt: skip
        view.limb(x, z, first, last, (0.055, 0.055), color, BICYCLE)


def _contact(view: View, left: float, right: float, z: float, length: float) -> None:
    """The dark ground below a vehicle, and its shadow on a sunny day."""
    far = z + length
    view.shadow([(left - 0.05, 0, z - 0.15), (right + 0.05, 0, z - 0.15), (right, 0, far), (left, 0, far)], 0.7, 1.2)
    if view.sunlight > 0.3:
        reach = 1.1 * -view.side
        view.shadow([(left + min(reach, 0), 0, z), (right + max(reach, 0), 0, z), (right + max(reach, 0), 0, far),
                     (left + min(reach, 0), 0, far)], 0.35 * view.sunlight)  # fmt: skip
