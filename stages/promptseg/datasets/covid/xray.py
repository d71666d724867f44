"""Generated chest X-rays with hazy infections.

An image is a sum of layers of attenuation (soft tissue, lungs, heart, spine, ribs, vessels, haze) in thorax units: x in
[-1, 1] from the right flank of the patient to the left flank, y from 0 at the tips of the lungs to 1 at their lower
corners. It is then exposed, and gets noise and text marks. Sizes, gray values and infected fractions follow the
quantiles of real images, and so does the difficulty: haze differs from heart, ribs and exposure by position and
texture, never by brightness alone.
"""

import cv2
import numpy as np

from promptseg.datasets.covid.thorax import SIDE, Frame, depth, fill, noise, smooth, soft, step, stroke

_RIGHT_LUNG = (
    (-0.42, 0.0), (-0.66, 0.12), (-0.83, 0.34), (-0.93, 0.6), (-0.97, 0.84), (-0.98, 1.0), (-0.98, 1.0),
    (-0.8, 0.92), (-0.55, 0.84), (-0.32, 0.85), (-0.2, 0.92), (-0.17, 0.72), (-0.19, 0.5), (-0.16, 0.3), (-0.2, 0.1),
    (-0.28, 0.02),
)  # fmt: skip
_LEFT_LUNG = (
    (0.42, 0.0), (0.66, 0.12), (0.83, 0.34), (0.93, 0.6), (0.97, 0.84), (0.98, 1.02), (0.98, 1.02), (0.86, 0.95),
    (0.74, 0.9), (0.62, 0.8), (0.5, 0.65), (0.33, 0.5), (0.2, 0.42), (0.27, 0.3), (0.21, 0.2), (0.17, 0.1),
    (0.27, 0.02),
)  # fmt: skip
_TORSO = (
    (0.2, -0.6), (0.23, -0.28), (0.6, -0.16), (1.15, -0.06), (1.3, 0.12), (1.16, 0.4), (1.13, 0.8), (1.18, 1.2),
    (1.2, 1.9),
)  # fmt: skip
_ARM = ((1.0, -0.1), (1.4, 0.0), (1.65, 0.4), (1.85, 1.2), (1.5, 1.25), (1.36, 0.6), (1.2, 0.3))
_CLAVICLE = ((0.1, 0.13), (0.35, 0.1), (0.6, 0.0), (0.9, -0.06), (1.15, -0.05))
_UPPER_ARM = ((1.24, -0.02), (1.34, 0.06), (1.5, 0.4), (1.66, 0.9))


def chest_xray(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generate a chest X-ray with its masks.

    Args:
        rng: random generator.
        kind: `COVID-19` (haze in one lung or both, in the mask), `Non-COVID` (one opaque lobe, not in the mask, as in
            the official data) or `Normal`.

    Returns:
        Image, infection mask and lung mask, each (SIDE, SIDE) uint8, masks 0 and 255.
    """
    frame = _frame(rng)
    sides = [fill(frame, _lung(rng, outline)) for outline in (_RIGHT_LUNG, _LEFT_LUNG)]
    lungs = cv2.max(*sides)
    film = _body(rng, frame, lungs) + _bones(rng, frame) + _vessels(rng, frame, lungs)
    infection = np.zeros((SIDE, SIDE), np.uint8)
    if kind == "COVID-19":
        haze, infection = _infection(rng, frame, sides, lungs)
        film += haze
    elif kind == "Non-COVID":
        film += _lobe(rng, frame, sides[rng.integers(2)])
    return _expose(rng, frame, film), infection, lungs


def _frame(rng) -> Frame:
    angle = rng.normal(0, 0.03)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = np.clip(rng.normal((94, 168), (11, 16)), (68, 130), (118, 200))
    return Frame(np.array([128 + rng.normal(0, 6), np.clip(rng.normal(34, 10), 12, 60)]), size, turn)


def _lung(rng, outline) -> np.ndarray:
    points = np.array(outline) + rng.normal(0, 0.012, (len(outline), 2))
    x, y = points.T
    if outline is _RIGHT_LUNG:  # the heart's right border
        x += min(0, rng.normal(-0.02, 0.03)) * np.exp(-(((y - 0.72) / 0.15) ** 2))
    y -= 0.07 * rng.normal() * np.exp(-(((np.abs(x) - 0.5) / 0.35) ** 2)) * (y > 0.75)  # a high or low diaphragm
    return smooth(points)


def _body(rng, frame, lungs) -> np.ndarray:
    """Soft tissue, air and middle of the chest."""
    x, y = frame.units()
    right = np.array(_TORSO) * (rng.uniform(0.97, 1.12), 1)
    torso = fill(frame, smooth(np.concatenate([right, right[::-1] * (-1, 1)])))
    arms = np.zeros_like(torso)
    shift = (rng.uniform(-0.05, 0.3), rng.uniform(-0.05, 0.1))
    for sign in (-1, 1):
        arms |= fill(frame, smooth((np.array(_ARM) + shift) * (sign, 1)))
    film = np.maximum(0.64 * depth(torso, rng.uniform(8, 18)), 0.42 * depth(arms, 9))
    air = soft(lungs, 1.5) * (0.55 + 0.45 * depth(lungs, 9))
    film -= rng.uniform(0.36, 0.48) * air * (1 - rng.uniform(0, 0.3) * y)
    still = 1 - 0.85 * soft(lungs, 2.5)
    heart = np.exp(-((((x - 0.16) / 0.42) ** 2 + ((y - 0.72) / 0.3) ** 2) ** 2))
    film += 0.2 * still * np.exp(-((x / rng.uniform(0.2, 0.3)) ** 2)) + rng.uniform(0.08, 0.2) * heart * still
    film += rng.uniform(0.1, 0.28) * still * step((y - 0.9) / 0.05) * (torso > 0)
    film -= rng.uniform(0.06, 0.16) * np.exp(-((x / 0.07) ** 2)) * step((0.27 - y) / 0.03)  # windpipe
    for _ in range(rng.integers(0, 3)):  # gas in the stomach and bowel
        center, radius = (rng.uniform(0.25, 0.7), rng.uniform(1.04, 1.2)), rng.uniform((0.08, 0.03), (0.2, 0.08))
        bubble = ((x - center[0]) / radius[0]) ** 2 + ((y - center[1]) / radius[1]) ** 2
        film -= rng.uniform(0.06, 0.2) * np.exp(-(bubble**2)) * still
    if rng.random() < 0.4:  # breasts
        for sign in (-1, 1):
            breast = ((np.abs(x - sign * 0.62) / 0.5) ** 2 + ((y - 0.85) / 0.28) ** 2) ** 4
            film += rng.uniform(0.04, 0.1) * cv2.GaussianBlur(np.exp(-np.minimum(breast, 50)), (0, 0), 3) * (torso > 0)
    film += rng.uniform(0.02, 0.06) * noise(rng, 28) * air  # uneven ventilation, and tissue in front and behind
    return film + 0.02 * noise(rng, 20) * (torso > 0)


def _bones(rng, frame) -> np.ndarray:
    """Spine, ribs front and back, collar bones; a bone is a band with a brighter rim."""
    x, y = frame.units()
    pitch, start, droop = rng.uniform(0.088, 0.105), rng.uniform(-0.02, 0.04), rng.uniform(0.06, 0.16)
    back, front, rims, collar = (np.zeros((SIDE, SIDE), np.uint8) for _ in range(4))
    along = np.linspace(0, 1, 24)
    for sign in (-1, 1):
        for rib in range(10):
            top, reach = start + rib * pitch, 0.97 - 0.5 * np.exp(-rib / 1.6)
            across = 0.08 + (reach - 0.08) * np.sin(along * np.pi / 2)
            drop = top - 0.05 * np.sin(along * np.pi * 0.8) + (droop + 0.012 * rib) * along**2.2
            path = np.stack([sign * across, drop], axis=1)
            band = pitch * 0.42 * frame.size[1]
            stroke(back, frame, path, band)
            for edge in (-0.21, 0.21):
                stroke(rims, frame, path + (0, edge * pitch), 1, 150)
            if rib < 7:
                low = top + droop + 0.012 * rib + 0.2 * along + 0.05 * np.sin(along * np.pi)
                stroke(front, frame, np.stack([sign * (reach - (reach - 0.32) * along), low], axis=1), band * 1.1)
        for bone, width in ((_CLAVICLE, 8), (_UPPER_ARM, 15)):
            path = np.array(bone) * (sign, 1) + rng.normal(0, 0.015, (len(bone), 2))
            stroke(collar, frame, smooth(path, closed=False), width)
    cage = step((1.02 - np.abs(x)) / 0.02) * step((1.05 - y) / 0.05)
    bones = (0.055 * soft(back, 1.2) + 0.05 * soft(rims, 0.8) + 0.03 * soft(front, 2.0)) * cage
    vertebra = 0.5 + 0.5 * np.tanh(6 * np.cos(2 * np.pi * y / pitch))
    bones += (0.03 + 0.025 * vertebra) * step((0.1 - np.abs(x)) / 0.012)
    return rng.uniform(0.6, 1.5) * bones + rng.uniform(0.05, 0.12) * soft(collar, 1.2)


def _vessels(rng, frame, lungs) -> np.ndarray:
    """Vessels branch out of the hila and thin out; most of a healthy lung's texture is theirs."""
    tree, hila = np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    for sign in (-1, 1):
        root = np.array([sign * 0.2, 0.45])
        cv2.circle(hila, tuple(np.round(frame.pixels(root)).astype(int).tolist()), 11, 255, -1)
        ends = [(root, angle, 4.0) for angle in rng.uniform(-1.4, 1.5, 9)]
        while ends:
            place, angle, width = ends.pop()
            length = rng.uniform(0.1, 0.2)
            tip = place + length * np.array([sign * np.cos(angle), 0.75 * np.sin(angle)])
            stroke(tree, frame, np.stack([place, tip]), width, int(60 + 45 * width))
            if width > 0.9:
                ends += [(tip, angle + rng.normal(0, 0.45), width * rng.uniform(0.55, 0.8)) for _ in range(2)]
    inside = soft(lungs, 1)
    return rng.uniform(0.1, 0.2) * inside * soft(tree, 0.7) + rng.uniform(0.05, 0.14) * soft(hila, 9)


def _infection(rng, frame, sides, lungs) -> tuple[np.ndarray, np.ndarray]:
    """Haze and its mask: one lung or both, mostly low and at the rim, from a patch to all of a lung."""
    x, y = frame.units()
    haze, mask = np.zeros((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.uint8)
    severity, strength = 1.15 * rng.beta(0.9, 0.75), rng.uniform(0.08, 0.24)
    spared = rng.integers(2) if rng.random() < 0.15 else None
    streaks = 1 + 0.2 * noise(rng, 1.8) + 0.2 * noise(rng, 7)
    for number, lung in enumerate(sides):
        inside = lung > 0
        share = np.clip(severity + rng.normal(0, 0.15), 0.06, 1.0)
        place = 2 * (rng.uniform(0.4, 1.6) * y + rng.uniform(0, 1.5) * np.abs(x))
        place += rng.uniform(0.5, 1.0) * noise(rng, 22)
        if number == spared:
            continue
        edge = np.quantile(place[inside], 1 - share) if share < 0.9 else place[inside].min() - 1
        density = step((place - edge) / 0.16)
        haze += strength * rng.uniform(0.8, 1.2) * soft(lung, 1.2) * density * np.clip(streaks, 0.3, 2)
        # The annotator follows the visible edge (half density) by hand: a little ragged, no specks, no holes.
        region = ((density + 0.06 * noise(rng, 3) > 0.5) & inside).astype(np.uint8) * 255
        shapes, _ = cv2.findContours(cv2.medianBlur(region, 5) & lung, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(mask, [shape for shape in shapes if cv2.contourArea(shape) > 80], -1, 255, -1)
        mask &= lungs
    return haze, mask


def _lobe(rng, frame, lung) -> np.ndarray:
    """A lobe that is opaque evenly, with a straight edge at its fissure: bacterial pneumonia as textbooks show it."""
    x, y = frame.units()
    fissure, slope = rng.uniform(0.35, 0.6), rng.normal(0, 0.12)
    upper = 1 if rng.random() < 0.5 else -1
    lobe = step(upper * (fissure + slope * np.abs(x) - y) / 0.012)
    return rng.uniform(0.12, 0.28) * soft(lung, 1.5) * lobe * (1 + 0.12 * noise(rng, 8))


def _expose(rng, frame, film) -> np.ndarray:
    """Convert attenuation to gray values: exposure, contrast, blur and grain, then collimator and text marks."""
    x, y = frame.units()
    film = film + rng.normal(0, 0.04) * x + rng.normal(0, 0.05) * (y - 0.5)
    film += _leads(rng, frame) if rng.random() < 0.25 else 0
    low, high = rng.uniform(-0.05, 0.1), rng.uniform(0.85, 1.25)
    gray = (np.tanh(np.maximum(film - low, 0) / (high - low)) / np.tanh(1)) ** rng.uniform(0.8, 1.6)
    full = rng.random() < 0.65  # the image has full or low contrast
    black, white = rng.uniform((0, 205), (25, 258)) if full else rng.uniform((30, 165), (95, 225))
    gray = cv2.GaussianBlur(black + (white - black) * gray, (0, 0), rng.uniform(0.3, 0.6))
    gray += rng.uniform(0.8, 3.0) * rng.standard_normal((SIDE, SIDE), np.float32)
    gray = np.clip(np.round(gray), 0, 255).astype(np.uint8)
    if rng.random() < 0.2:  # the edge of the collimator
        gray[:, : rng.integers(2, 14)], gray[SIDE - rng.integers(2, 14) :] = 0, 0
    if rng.random() < 0.6:
        words, where = str(rng.choice(["L", "R", "D", "DCHA.", "PA", "AP"])), rng.integers((2, 14), (20, 30)).tolist()
        cv2.putText(gray, words, where, cv2.FONT_HERSHEY_SIMPLEX, rng.uniform(0.3, 0.6), 245, 1, cv2.LINE_AA)
    return gray


def _leads(rng, frame) -> np.ndarray:
    """Cables and electrodes that lie on the patient."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(rng.integers(1, 4)):
        ends = rng.uniform((-0.7, 0.0), (0.7, 0.7), (4, 2)) + ((0, -0.4), (0, 0), (0, 0), (0, 0.1))
        path = smooth(ends, closed=False)
        stroke(canvas, frame, path, rng.uniform(1, 2), 200)
        cv2.circle(canvas, tuple(np.round(frame.pixels(path[-1])).astype(int).tolist()), 4, 255, -1, cv2.LINE_AA)
    return rng.uniform(0.08, 0.25) * soft(canvas, 0.6)
