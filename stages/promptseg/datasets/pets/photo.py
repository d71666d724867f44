"""Generated photos of a pet with an official trimap: 1 pet, 2 background, 3 a band along the edge."""

import cv2
import numpy as np

from promptseg.datasets.pets.animal import Pet, Place
from promptseg.datasets.pets.breeds import Breed
from promptseg.datasets.pets.fur import Canvas, blur, noise
from promptseg.datasets.pets.poses import EXTENT, POSES
from promptseg.datasets.pets.rooms import backdrop, clutter, foreground

BAND = 5  # pixels on each side of the outline; about 8 in the official trimaps of images 500 pixels wide
_LONG = {"lie", "stand", "curl"}
_QUALITY = 90


def photo(rng: np.random.Generator, breed: Breed, pose: str, room: str) -> tuple[bytes, np.ndarray]:
    """Generate a photo of a pet.

    Args:
        rng: random generator.
        breed: breed of the pet, one of BREEDS.
        pose: one of POSES.
        room: one of ROOMS.

    Returns:
        JPEG bytes and the trimap, (h, w) uint8.
    """
    w, h = _size(rng, pose)
    canvas = Canvas(rng, h, w)
    place = _place(rng, w, h, pose)
    low = place.origin[1]
    ground = np.clip(low / h - rng.uniform(0.1, 0.3), 0.25, 0.92)
    pet = Pet(rng, canvas, breed, place)
    backdrop(canvas, room, ground, pet.base)
    clutter(canvas, room, ground, pet.base)
    if rng.random() < 0.6:
        canvas.rgb = blur(canvas.rgb, rng.uniform(0.5, 2.5))  # the pet is in focus
    canvas.shadow((place.pixels([(1.3 if pose in _LONG else 0, 0)])[0]), (2.6 * place.scale, 0.4 * place.scale), 0.45)
    POSES[pose](pet)
    foreground(canvas, room, low + 0.04 * h, pet.base)
    return _jpeg(_camera(rng, canvas.rgb)), _trimap(canvas.pet)


def _size(rng, pose: str) -> tuple[int, int]:
    """Sample width and height: mostly 4:3 or 3:2, portrait or landscape depending on the pose."""
    side, other = 384, int(rng.choice((256, 288, 300)))
    across = rng.random() < (0.95 if pose in _LONG else 0.4)
    return (side, other) if across else (other, side)


def _place(rng, w: int, h: int, pose: str) -> Place:
    """Sample the position of a pet that fills half to nearly all of the image and sometimes exceeds it."""
    left, right, up = EXTENT[pose]
    fill = rng.uniform(0.95, 1.2) if pose == "portrait" else rng.uniform(0.5, 0.98)
    scale = fill * min(w / (left + right), h / up)
    flip = int(rng.choice((-1, 1)))
    slack = w - scale * (left + right)
    x = scale * (left if flip > 0 else right) + slack * rng.uniform(0.1, 0.9)
    y = h * rng.uniform(0.96, 1.02) if pose == "portrait" else h - (h - scale * up) * rng.uniform(0.1, 0.5) - 4
    return Place((x, y), scale, rng.normal(0, 0.04), flip)


def _camera(rng, scene: np.ndarray) -> np.ndarray:
    """Light across the room, color of the light, exposure, grain: (h, w, 3) uint8."""
    h, w = scene.shape[:2]
    fall = 1 + 0.14 * noise(rng, h, w, 0.9 * w, 1)[..., None]
    tint = np.array((1 + rng.normal(0, 0.06), 1.0, 1 - rng.normal(0, 0.07)), np.float32)
    image = np.clip(scene * fall * tint * rng.uniform(0.85, 1.25), 0, None)
    image = image / (1 + 0.25 * image * image) * 1.12  # highlights roll off
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), rng.uniform(0.35, 0.7))
    image += rng.uniform(0.006, 0.02) * rng.standard_normal((h, w, 1), np.float32)
    if rng.random() < 0.06:  # a few of the official photos are black and white
        image[:] = image.mean(2, keepdims=True)
    return (np.clip(image, 0, 1) ** 0.9 * 255 + 0.5).astype(np.uint8)


def _trimap(pet: np.ndarray) -> np.ndarray:
    """Convert the coverage by the pet to labels 1, 2 and 3, without single hairs and specks."""
    inside = cv2.medianBlur((pet > 0.5).astype(np.uint8), 5)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BAND + 1, 2 * BAND + 1))
    trimap = np.where(cv2.dilate(inside, disc) > 0, 3, 2).astype(np.uint8)
    trimap[cv2.erode(inside, disc, borderType=cv2.BORDER_REPLICATE) > 0] = 1
    return trimap


def _jpeg(image: np.ndarray) -> bytes:
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise RuntimeError(f"an array of shape {image.shape} cannot be encoded as JPEG")
    return data.tobytes()
