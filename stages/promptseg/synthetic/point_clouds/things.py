"""Generated objects of the 16 categories of ShapeNetPart: each a list of surfaces with the part labels of that dataset.

x is to the right, y up, z to the front; one unit is about half the object. Proportions are random.
"""

import numpy as np

from promptseg.synthetic.point_clouds.surfaces import ball, box, hoop, mirrored, moved, plate, rotated, tube, turned

Parts = list[tuple[int, np.ndarray]]


def airplane(rng: np.random.Generator) -> Parts:
    length, span, back = rng.uniform(1.7, 2.2), rng.uniform(0.8, 1.1), rng.uniform(0.1, 0.4)
    shell = turned([(0, 0), (0.09, 0.06), (0.15, 0.3), (0.15, 0.8 * length), (0.04, length)])
    body = moved(rotated(shell, "x", -90), z=length / 2)
    half = rotated(plate([(0.1, 0.25), (span, 0.1 - back), (span, -0.05 - back), (0.1, -0.25)], 0.04), "x", -90)
    wing = mirrored(half)
    end = -0.46 * length
    fins = rotated(plate([(0.03, 0.12), (0.4, 0.0), (0.4, -0.1), (0.03, -0.1)], 0.03), "x", -90)
    upright = rotated(plate([(-0.12, 0.05), (0.18, 0.05), (0.2, 0.45), (0.08, 0.45)], 0.03), "y", 90)
    tail = np.concatenate([moved(mirrored(fins), y=0.05, z=end), moved(upright, z=end)])
    engine = mirrored(moved(rotated(tube(0.08, 0.3), "x", -90), x=0.45 * span, y=-0.12, z=0.25))
    return [(0, body), (1, wing), (2, tail), (3, engine)]


def bag(rng: np.random.Generator) -> Parts:
    width, height = rng.uniform(0.9, 1.3), rng.uniform(0.7, 1.0)
    return [(4, hoop(0.3, 0.03, y=height, start=0, stop=180)), (5, box(width, height, rng.uniform(0.3, 0.5)))]


def cap(rng: np.random.Generator) -> Parts:
    angles = np.radians(np.linspace(200, 340, 9))
    far = rng.uniform(0.9, 1.15)
    brim = [(0.55 * np.cos(angle), far * np.sin(angle)) for angle in angles]
    return [(6, ball(0.6, low=0)), (7, moved(rotated(plate(brim, 0.03), "x", -85), y=0.02))]


def car(rng: np.random.Generator) -> Parts:
    length, height, cabin = rng.uniform(1.8, 2.2), rng.uniform(0.35, 0.45), rng.uniform(0.7, 0.9)
    wheels = [moved(rotated(tube(0.19, 0.12), "z", 90), x=0.46, y=0.19, z=side * 0.32 * length) for side in (-1, 1)]
    hood = box(0.72, 0.02, 0.3 * length, y=0.15 + height, z=0.34 * length)
    body = box(0.8, height, length, y=0.15)
    sides = box(0.7, 0.25, cabin, y=0.15 + height, z=-0.1)
    roof = box(0.7, 0.03, cabin, y=0.4 + height, z=-0.1)
    return [(8, roof), (9, hood), (10, mirrored(np.concatenate(wheels))), (11, np.concatenate([body, sides]))]


def chair(rng: np.random.Generator) -> Parts:
    width, height, tall = rng.uniform(0.8, 1.0), rng.uniform(0.7, 0.9), rng.uniform(0.7, 1.1)
    legs = [box(0.08, height, 0.08, 0.45 * width, 0, side * 0.4) for side in (-1, 1)]
    back = moved(rotated(box(width, tall, 0.07), "x", -rng.uniform(0, 12)), y=height, z=-0.4)
    parts = [(12, back), (13, box(width, 0.1, 0.9, y=height)), (14, mirrored(np.concatenate(legs)))]
    post, rest = box(0.06, 0.3, 0.06, 0.5 * width, height, 0.3), box(0.07, 0.06, 0.75, 0.5 * width, height + 0.3)
    return [*parts, (15, mirrored(np.concatenate([post, rest])))]


def earphone(rng: np.random.Generator) -> Parts:
    radius = rng.uniform(0.6, 0.75)
    cup = mirrored(moved(rotated(tube(0.25, 0.15), "z", 90), x=radius + 0.05))
    wire = tube(0.02, rng.uniform(0.6, 0.9), x=radius, y=-1.0)
    return [(16, cup), (17, hoop(radius, 0.05, start=0, stop=180)), (18, wire)]


def guitar(rng: np.random.Generator) -> Parts:
    length, depth = rng.uniform(0.9, 1.2), rng.uniform(0.12, 0.22)
    low, high = (rotated(tube(radius, depth), "x", 90) for radius in (rng.uniform(0.42, 0.5), 0.34))
    body = np.concatenate([moved(low, z=-depth / 2), moved(high, y=0.5, z=-depth / 2)])
    neck = box(0.1, length, 0.06, y=0.75)
    return [(19, box(0.2, 0.3, 0.06, y=0.75 + length)), (20, neck), (21, body)]


def knife(rng: np.random.Generator) -> Parts:
    length, broad = rng.uniform(0.9, 1.3), rng.uniform(0.16, 0.26)
    blade = plate([(0, 0), (0.7 * length, 0), (length, broad), (0, broad)], 0.02)
    return [(22, blade), (23, box(0.7, 0.16, 0.1, x=-0.35, y=broad / 2 - 0.08))]


def lamp(rng: np.random.Generator) -> Parts:
    tall, radius = rng.uniform(1.2, 1.6), rng.uniform(0.35, 0.5)
    if rng.random() < 0.5:  # it hangs
        shade = turned([(radius, 0), (0.5 * radius, 0.4)])
        return [(25, shade), (26, tube(0.2, 0.06, y=0.4 + tall)), (27, tube(0.02, tall, y=0.4))]
    shade = turned([(radius, 0), (rng.uniform(0.5, 0.9) * radius, 0.5)], y=tall - 0.2)
    return [(24, tube(0.3, 0.08)), (25, shade), (27, tube(0.035, tall - 0.08, y=0.08))]


def laptop(rng: np.random.Generator) -> Parts:
    depth = rng.uniform(0.9, 1.1)
    screen = moved(rotated(box(1.5, depth, 0.04), "x", -rng.uniform(5, 30)), y=0.05, z=-depth / 2)
    return [(28, box(1.5, 0.06, depth)), (29, screen)]


def motorbike(rng: np.random.Generator) -> Parts:
    reach = rng.uniform(0.65, 0.8)
    wheels = [rotated(hoop(0.3, 0.08), "y", 90) + (0, 0.38, side * reach) for side in (-1, 1)]
    fork = moved(rotated(box(0.1, 0.65, 0.06), "x", -25), y=0.38, z=reach)
    frame = np.concatenate([box(0.25, 0.3, 0.7, y=0.3), fork])
    parts = [(30, box(0.24, 0.2, 0.4, y=0.62, z=0.2)), (31, box(0.22, 0.1, 0.55, y=0.65, z=-0.3))]
    parts += [(32, np.concatenate(wheels)), (33, moved(rotated(tube(0.03, 0.7), "z", 90), x=0.35, y=0.97, z=0.45))]
    return [*parts, (34, ball(0.1, y=0.85, z=0.62)), (35, frame)]


def mug(rng: np.random.Generator) -> Parts:
    radius, height = rng.uniform(0.4, 0.5), rng.uniform(0.8, 1.1)
    cup = turned([(0, 0), (radius, 0), (radius, height), (0.92 * radius, height), (0.92 * radius, 0.05), (0, 0.05)])
    return [(36, hoop(0.28 * height, 0.05, x=radius, y=0.5 * height, start=-90, stop=90)), (37, cup)]


def pistol(rng: np.random.Generator) -> Parts:
    length, lean = rng.uniform(1.1, 1.5), rng.uniform(10, 25)
    grip = rotated(box(0.26, 0.7, 0.14, y=-0.7), "z", -lean)
    barrel = box(length, 0.26, 0.16, x=length / 2 - 0.25, y=-0.04)
    return [(38, barrel), (39, grip), (40, hoop(0.14, 0.02, x=0.3, y=-0.16))]


def rocket(rng: np.random.Generator) -> Parts:
    radius, length, nose = rng.uniform(0.15, 0.22), rng.uniform(1.2, 1.6), rng.uniform(0.35, 0.6)
    fin = plate([(radius, 0), (radius + 0.3, -0.15), (radius + 0.3, 0.1), (radius, 0.4)], 0.03)
    fins = np.concatenate([rotated(fin, "y", angle) for angle in (0, 90, 180, 270)])
    cone = turned([(radius, 0), (0.7 * radius, 0.5 * nose), (0, nose)], y=length)
    return [(41, tube(radius, length)), (42, fins), (43, cone)]


def skateboard(rng: np.random.Generator) -> Parts:
    length = rng.uniform(1.8, 2.2)
    ends = [rotated(box(0.5, 0.04, 0.25, z=0.12), "x", -20) + (0, 0.24, 0.5 * length - 0.2)]
    deck = np.concatenate([box(0.5, 0.04, length - 0.4, y=0.24), *mirrored(ends[0], "z")[None]])
    wheels = [moved(rotated(tube(0.08, 0.1), "z", 90), x=0.24, y=0.08, z=side * 0.32 * length) for side in (-1, 1)]
    belts = [box(0.54, 0.03, 0.12, y=0.29, z=side * 0.25 * length) for side in (-1, 1)]
    return [(44, mirrored(np.concatenate(wheels))), (45, deck), (46, np.concatenate(belts))]


def table(rng: np.random.Generator) -> Parts:
    width, depth, height = rng.uniform(1.3, 1.9), rng.uniform(0.8, 1.1), rng.uniform(0.7, 0.9)
    legs = [box(0.1, height, 0.1, width / 2 - 0.1, 0, side * (depth / 2 - 0.1)) for side in (-1, 1)]
    drawer = box(0.6 * width, 0.2, 0.7 * depth, y=height - 0.2)
    return [(47, box(width, 0.07, depth, y=height)), (48, mirrored(np.concatenate(legs))), (49, drawer)]


THINGS = {
    "airplane": airplane, "bag": bag, "cap": cap, "car": car, "chair": chair, "earphone": earphone, "guitar": guitar,
    "knife": knife, "lamp": lamp, "laptop": laptop, "motorbike": motorbike, "mug": mug, "pistol": pistol,
    "rocket": rocket, "skateboard": skateboard, "table": table,
}  # fmt: skip
