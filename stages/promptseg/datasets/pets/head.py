"""Heads of cats and dogs, in frontal view or turned a little; one unit is the radius of the head."""

import cv2
import numpy as np

from promptseg.datasets.pets.animal import Pet, Place, ellipse

_CAT_SKULL = ((0, -0.86), (0.5, -0.82), (0.9, -0.42), (1.02, 0.15), (0.8, 0.62), (0.36, 0.9), (0, 0.95))
_DOG_SKULL = ((0, -0.92), (0.5, -0.88), (0.84, -0.5), (0.86, 0.05), (0.68, 0.5), (0.42, 0.85), (0, 0.95))
_EARS = {  # of the right side, x measured from the middle of the face
    "cat": ((0.98, -0.2), (1.0, -0.8), (0.98, -1.42), (0.94, -1.5), (0.86, -1.46), (0.5, -1.05), (0.16, -0.78),
            (0.5, -0.3)),
    "up": ((0.86, -0.3), (0.95, -0.9), (0.86, -1.5), (0.8, -1.58), (0.7, -1.5), (0.4, -1.1), (0.16, -0.8), (0.5, -0.4)),
    "small": ((0.86, -0.4), (0.93, -0.9), (0.84, -1.3), (0.78, -1.36), (0.68, -1.28), (0.42, -1.0), (0.22, -0.82),
              (0.5, -0.4)),
    "drop": ((0.45, -0.86), (0.85, -0.86), (1.12, -0.4), (1.24, 0.25), (1.14, 0.75), (0.92, 0.82), (0.74, 0.4),
             (0.74, -0.2)),
    "fold": ((0.4, -0.86), (0.86, -0.92), (1.1, -0.62), (1.06, -0.22), (0.88, -0.18), (0.68, -0.5)),
}  # fmt: skip
_PINK, _DARK, _TONGUE = (0.72, 0.48, 0.46), (0.05, 0.04, 0.04), (0.82, 0.38, 0.42)


def draw_head(pet: Pet, place: Place, asleep: bool = False) -> None:
    """Draw a head centered at the origin of `place`, turned a little to one side."""
    rng, breed = pet.rng, pet.breed
    cat, yaw = breed.species == 1, rng.uniform(-0.3, 0.3)
    ear = np.array(_EARS["cat" if cat else breed.ears])
    hanging = not cat and breed.ears in ("drop", "fold")
    ear[:, 1] = np.where(ear[:, 1] < -0.8, -0.8 + (ear[:, 1] + 0.8) * breed.bat, ear[:, 1])
    if breed.ears == "drop":
        ear[:, 1] = np.where(ear[:, 1] > 0, ear[:, 1] * breed.bat, ear[:, 1])
    if not hanging:
        _ears(pet, place, ear, yaw, upright=True)
    skull = np.array(_CAT_SKULL if cat else _DOG_SKULL)
    skull[:, 0] *= rng.uniform(0.96, 1.06) * (1.04 if breed.stout > 1 else 1.0)
    pet.part(_mirrored(skull), place=place, dark=0.15, depth=0.75, fluff=0.8)
    if breed.pattern in ("points", "saddle"):
        soft = ellipse((0.3 * yaw, 0.15 if cat else 0.4), (0.55, 0.6 if cat else 0.5))
        pet.part(soft, place=place, dark=0.8 if breed.pattern == "points" else 0.3, fluff=1.5, depth=0.6, shade=1.02)
    if breed.pattern == "patches":
        blaze = [(-0.1, -0.85), (0.1, -0.85), (0.16, -0.1), (0.4, 0.5), (0, 0.8), (-0.4, 0.5), (-0.16, -0.1)]
        pet.part(np.array(blaze) + (0.5 * yaw, 0), place=place, dark=1.5, depth=0.5, fluff=0.6)
    face = place.within((0.42 * yaw, 0.0))
    if hanging:
        _ears(pet, place, ear, yaw, upright=False)
    (_cat_face if cat else _dog_face)(pet, face, asleep)


def _mirrored(half: np.ndarray) -> np.ndarray:
    """The whole outline from its right half."""
    return np.concatenate([half, half[-2:0:-1] * (-1, 1)])


def _ears(pet: Pet, place: Place, ear: np.ndarray, yaw: float, upright: bool) -> None:
    for side in (-1, 1):
        flap = ear * (side * (1 + 0.18 * side * yaw), 1) + pet.rng.normal(0, 0.03, 2)
        pet.part(flap, place=place, dark=0.7, depth=0.25, fluff=0.5 if upright else 1.0, shade=0.94)
        if upright:
            middle = flap.mean(0) + (0, -0.05)
            inner = middle + (flap - middle) * 0.58
            pet.detail(inner, 0.45 * np.array(_PINK) + 0.4 * pet.base, place, 0.3)


def _eye(pet: Pet, face: Place, side: int, at: tuple, size: float, pupil: tuple, asleep: bool) -> None:
    x, y = side * at[0], at[1]
    tilt = -0.18 * side if pet.breed.species == 1 else 0.0
    if asleep:
        pet.detail(ellipse((x, y + 0.05), (size * 1.1, 0.035), -0.15 * side), _DARK, face)
        return
    pet.detail(ellipse((x, y), (size * 1.22, size * 1.02), tilt), _DARK, face)
    pet.detail(ellipse((x, y), (size, size * 0.84), tilt), pet.breed.eyes, face, 0.3)
    pet.detail(ellipse((x, y), (size * pupil[0], size * pupil[1])), (0.02, 0.02, 0.02), face)
    light = ellipse((x - 0.3 * size, y - 0.35 * size), (size * 0.2, size * 0.2))
    pet.detail(light, (1.1, 1.1, 1.1), face)


def _cat_face(pet: Pet, face: Place, asleep: bool) -> None:
    rng = pet.rng
    pupil, size = (rng.uniform(0.2, 0.7), 0.8), rng.uniform(0.185, 0.205)
    for side in (-1, 1):
        _eye(pet, face, side, (0.42, -0.1), size, pupil, asleep)
    for side in (-1, 1):
        pet.part(ellipse((0.2 * side, 0.46), (0.28, 0.22)), place=face, chest=0.8, dark=0.5, depth=0.2, fluff=0.25)
    nose = [(-0.15, 0.22), (0.15, 0.22), (0.05, 0.36), (-0.05, 0.36)]
    light = pet.base.mean() > 0.3
    pet.detail(nose, _PINK if light else (0.14, 0.11, 0.11), face)
    pet.detail(ellipse((0, 0.46), (0.025, 0.1)), (0.2, 0.12, 0.1), face)
    for side in (-1, 1):
        pet.detail(ellipse((0.14 * side, 0.6), (0.14, 0.025), -0.4 * side), (0.22, 0.14, 0.12), face)
    _whiskers(pet, face)


def _dog_face(pet: Pet, face: Place, asleep: bool) -> None:
    rng, snout = pet.rng, pet.breed.snout
    size = rng.uniform(0.135, 0.16)
    for side in (-1, 1):
        _eye(pet, face, side, (0.38, -0.16), size, (0.6, 0.6), asleep)
    long = 0.3 + 0.22 * snout
    open_mouth = rng.random() < 0.45 and not asleep
    if open_mouth:
        pet.detail(ellipse((0, 0.42 + long), (0.26, 0.24)), (0.12, 0.04, 0.05), face)
        pet.detail(ellipse((0.02, 0.55 + long), (0.17, 0.28)), _TONGUE, face, 0.15)
    muzzle = [(-0.22, 0.0), (0.22, 0.0), (0.44, 0.4), (0.46, 0.3 + long), (0.2, 0.42 + long), (-0.2, 0.42 + long),
              (-0.46, 0.3 + long), (-0.44, 0.4)]  # fmt: skip
    pet.part(muzzle, place=face, dark=0.75, chest=0.7, depth=0.34, fluff=0.45, shade=1.04)
    drop = 0.12 + 0.25 * snout
    pet.detail(ellipse((0, drop + 0.12), (0.23, 0.165)), (0.07, 0.06, 0.065), face, 0.14)
    for side in (-1, 1):
        pet.detail(ellipse((0.09 * side, drop + 0.17), (0.055, 0.035)), (0.01, 0.01, 0.01), face)
    pet.detail(ellipse((-0.06, drop + 0.05), (0.07, 0.025)), (0.45, 0.45, 0.47), face)
    pet.detail(ellipse((0, drop + 0.38), (0.022, 0.13)), (0.13, 0.08, 0.07), face)
    for side in (-1, 1):
        pet.detail(ellipse((0.19 * side, drop + 0.53), (0.2, 0.03), -0.35 * side), (0.13, 0.08, 0.07), face)


def _whiskers(pet: Pet, face: Place) -> None:
    """Draw thin light lines; outside the face they are not labelled as pet, as in the official trimaps."""
    lines = np.zeros(pet.canvas.pet.shape, np.uint8)
    for side in (-1, 1):
        for slope in (-0.12, 0.02, 0.16):
            bend = slope + pet.rng.normal(0, 0.05)
            path = face.pixels([(side * x, 0.45 + bend * x * 2 + 0.12 * x * x) for x in (0.3, 0.7, 1.1, 1.45)])
            cv2.polylines(lines, [np.round(path * 16).astype(np.int32)], False, 255, 1, cv2.LINE_AA, shift=4)
    pet.canvas.rgb += (0.92 - pet.canvas.rgb) * (lines.astype(np.float32)[..., None] / 255 * 0.45)
