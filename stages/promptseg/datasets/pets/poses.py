"""Poses of a pet: sitting, lying, standing, curled up, or a portrait of head and shoulders."""

from collections.abc import Callable

import numpy as np

from promptseg.datasets.pets.animal import Pet, ellipse, limb
from promptseg.datasets.pets.head import draw_head

# Extent of a pose in units: left, right, above the ground; determines scale and position.
EXTENT = {
    "sit": (2.0, 2.3, 5.4), "lie": (2.0, 5.2, 4.0), "stand": (2.3, 5.2, 5.6), "curl": (3.0, 3.2, 2.9),
    "portrait": (1.9, 1.9, 3.9),
}  # fmt: skip


def sit(pet: Pet) -> None:
    """Upright, seen from the front, the tail round one side."""
    rng, wide = pet.rng, pet.breed.stout
    _tail(pet, [(1.0, -0.25), (1.7, -0.15), (2.2, -0.5), (2.3 + rng.normal(0, 0.2), -1.1)])
    for side in (-1, 1):
        pet.part(ellipse((side * 1.0 * wide, -0.7), (0.62 * wide, 0.72)), depth=0.5, shade=0.94)
        pet.part(ellipse((side * 1.05 * wide, -0.14), (0.44, 0.2)), dark=0.9, depth=0.2, fluff=0.4)
    body = [(-0.55, -3.5), (0.55, -3.5), (0.95 * wide, -2.6), (1.1 * wide, -1.2), (0.95 * wide, -0.2),
            (-0.95 * wide, -0.2), (-1.1 * wide, -1.2), (-0.95 * wide, -2.6)]  # fmt: skip
    pet.part(body, depth=0.95)
    bib = [(-0.5, -3.3), (0.5, -3.3), (0.6, -2.2), (0.3, -1.3), (-0.3, -1.3), (-0.6, -2.2)]
    pet.part(bib, depth=0.6, chest=0.9, dark=0.3, shade=1.03)
    for side in (-1, 1):
        foot = side * (0.42 + rng.normal(0, 0.05))
        pet.part(
            limb([(side * 0.5, -2.1), (side * 0.46, -1.1), (foot, -0.2)], (0.36, 0.28, 0.24)), dark=0.55, depth=0.28
        )
        pet.part(ellipse((foot, -0.12), (0.33, 0.19)), dark=1.0, depth=0.18, fluff=0.3)
    draw_head(pet, pet.place.within((rng.normal(0, 0.12), -3.95), angle=rng.normal(0, 0.14)))


def lie(pet: Pet) -> None:
    """On its belly, head up at the left, fore legs stretched out."""
    rng, wide = pet.rng, pet.breed.stout
    _tail(pet, [(3.7, -0.4), (4.5, -0.2), (5.0, -0.35), (5.2, -0.8 + rng.normal(0, 0.3))])
    body = [(-0.6, -1.7), (0.6, -2.1 * wide), (2.2, -1.95 * wide), (3.5, -1.7 * wide), (4.0, -0.8), (3.6, -0.1),
            (1.8, 0.0), (0.0, -0.05), (-0.7, -0.5)]  # fmt: skip
    pet.part(body, depth=0.9, hang=-0.9)
    pet.part(ellipse((3.05, -0.78), (0.98, 0.78), -0.2), depth=0.7, hang=-0.4, shade=0.97)
    pet.part(limb([(3.2, -0.2), (2.7, -0.13), (2.2, -0.12)], (0.24, 0.2, 0.2)), dark=0.9, depth=0.2)
    pet.part(limb([(0.5, -0.6), (-0.3, -0.28), (-1.1, -0.2)], (0.4, 0.27, 0.22)), dark=0.7, shade=0.88, depth=0.25)
    pet.part(ellipse((-0.05, -1.15), (0.82, 1.05)), chest=0.8, dark=0.2, depth=0.7)
    pet.part(limb([(0.2, -0.55), (-0.7, -0.2), (-1.6, -0.12)], (0.42, 0.27, 0.22)), dark=0.6, depth=0.27)
    pet.part(ellipse((-1.65, -0.1), (0.34, 0.2)), dark=1.0, depth=0.18, fluff=0.3)
    draw_head(pet, pet.place.within((-0.2 + rng.normal(0, 0.15), -2.45), angle=rng.normal(-0.05, 0.15)))


def stand(pet: Pet) -> None:
    """On four legs, seen from the side, the face towards the camera."""
    rng, wide, legs = pet.rng, pet.breed.stout, pet.breed.legs
    up = 1.7 * legs
    lift = rng.choice((-1.6, 0.5)) + rng.normal(0, 0.2)
    _tail(
        pet, [(3.3, -up - 0.9), (4.1, -up - 0.9 + 0.1 * lift), (4.6, -up - 0.8 + 0.5 * lift), (4.8, -up - 0.7 + lift)]
    )
    stride = rng.normal(0, 0.3, 4)
    for x, near, k in ((0.55, 0, 0), (2.85, 0, 1), (0.0, 1, 2), (3.15, 1, 3)):
        if near and k == 2:
            body = [(-0.6, -up - 1.2), (0.3, -up - 1.75 * wide), (1.8, -up - 1.5 * wide), (3.2, -up - 1.5 * wide),
                    (3.8, -up - 0.7), (3.4, -up + 0.15), (1.8, -up + 0.05), (0.3, -up + 0.35), (-0.5, -up)]  # fmt: skip
            pet.part(body, depth=0.85, hang=-1.1)
        hip, knee, foot = (x, -up - 0.35), (x + (0.25 if x > 1 else 0.05), -0.85 * legs), (x + stride[k] * 0.6, -0.2)
        shade, thick = (1.0, 1.0) if near else (0.72, 0.9)
        pet.part(
            limb([hip, knee, foot], (0.55 * thick, 0.28 * thick, 0.22)), dark=0.5, depth=0.28, shade=shade, fluff=0.8
        )
        pet.part(ellipse((foot[0] - 0.1, -0.13), (0.32, 0.18)), dark=1.0, depth=0.16, shade=shade, fluff=0.3)
    neck = [(0.6, -up - 1.5), (-0.3, -up - 2.6), (-1.1, -up - 2.2), (-0.9, -up - 0.9), (-0.3, -up - 0.2)]
    pet.part(neck, chest=0.6, dark=0.2, depth=0.6)
    draw_head(pet, pet.place.within((-0.75, -up - 2.35 + rng.normal(0, 0.15)), angle=rng.normal(0, 0.15)))


def curl(pet: Pet) -> None:
    """Asleep in a ring, the tail round to the chin."""
    rng, wide = pet.rng, pet.breed.stout
    body = [(-2.3, -0.5), (-1.9, -1.5), (-0.3, -2.1 * wide), (1.6, -1.95 * wide), (2.7, -1.1), (2.6, -0.3), (1.2, 0.02),
            (-1.2, 0.02)]  # fmt: skip
    pet.part(body, depth=1.0, hang=-0.8)
    pet.part(ellipse((1.5, -0.85), (1.0, 0.75), 0.2), depth=0.7, hang=-0.5, shade=0.97)
    draw_head(pet, pet.place.within((-1.35, -0.98), 0.92, rng.normal(-0.25, 0.1)), asleep=rng.random() < 0.75)
    pet.part(limb([(0.4, -0.15), (-0.6, -0.12), (-1.5, -0.1)], (0.26, 0.22, 0.2)), dark=0.8, depth=0.2)
    _tail(pet, [(2.5, -0.25), (1.4, -0.05), (0.2, 0.0), (-0.7, -0.02)])


def portrait(pet: Pet) -> None:
    """Head and shoulders; the body extends below the image."""
    rng, wide = pet.rng, pet.breed.stout
    body = [(-0.7, -2.9), (0.7, -2.9), (1.35 * wide, -1.9), (1.75 * wide, -0.6), (1.9 * wide, 1.5), (-1.9 * wide, 1.5),
            (-1.75 * wide, -0.6), (-1.35 * wide, -1.9)]  # fmt: skip
    pet.part(body, depth=1.1)
    bib = [(-0.6, -2.7), (0.6, -2.7), (0.85, -1.4), (0.5, 0.3), (-0.5, 0.3), (-0.85, -1.4)]
    pet.part(bib, chest=0.9, dark=0.25, depth=0.8, shade=1.03)
    draw_head(pet, pet.place.within((rng.normal(0, 0.15), -2.5), 1.0, rng.normal(0, 0.17)))


def _tail(pet: Pet, path) -> None:
    """Draw a tail, short for some dogs and wider for long hair."""
    path = np.asarray(path, float)
    bushy = 0.13 + 0.09 * min(pet.breed.fluff, 2.0)
    if pet.breed.species == 2 and pet.breed.name in ("pug", "boxer"):
        path = path[0] + (path - path[0]) * 0.35
    pet.part(limb(path, np.array([1.1, 1.15, 1.1, 0.6]) * bushy), dark=0.85, depth=0.22, hang=-1.2)


POSES: dict[str, Callable[[Pet], None]] = {
    "sit": sit, "lie": lie, "stand": stand, "curl": curl, "portrait": portrait,
}  # fmt: skip
