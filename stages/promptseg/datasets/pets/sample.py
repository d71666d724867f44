"""Offline stand-in for Oxford-IIIT Pet: rendered photos of cats and dogs in the official layout."""

from pathlib import Path

import cv2
import numpy as np

from promptseg.data import image_io
from promptseg.data.file_names import natural
from promptseg.datasets.pets.reader import ANNOTATIONS, EXCLUDED, IMAGES, TRIMAPS
from promptseg.synthetic import colors, figures, materials
from promptseg.synthetic.canvas import Canvas
from promptseg.synthetic.noise import noise

COUNTS = {"trainval.txt": 30, "test.txt": 24}  # photos that each list names
# As in the official list, the misspelled word included.
HEADER = """#Image CLASS-ID SPECIES BREED ID\n#ID: 1:37 Class ids\n#SPECIES: 1:Cat 2:Dog\n#BREED ID: 1-25:Cat 1:12:Dog
#All images with 1st letter as captial are cat images\n#images with small first letter are dog images""".splitlines()
# Official class, species and number within the species; color of the coat, factor of its markings, stretch of these.
BREEDS = {
    "Abyssinian": (1, 1, 1, (0.63, 0.41, 0.23), 0.85, 1), "Bengal": (6, 1, 2, (0.74, 0.54, 0.31), 0.3, 1),
    "Bombay": (8, 1, 4, (0.1, 0.09, 0.09), 0.8, 1), "British_Shorthair": (10, 1, 5, (0.42, 0.44, 0.49), 0.85, 1),
    "Maine_Coon": (21, 1, 7, (0.6, 0.48, 0.36), 0.35, 5), "Ragdoll": (27, 1, 9, (0.88, 0.84, 0.78), (0.6, 0.5, 0.4), 1),
    "beagle": (5, 2, 4, (0.9, 0.87, 0.82), (0.6, 0.35, 0.2), 1), "boxer": (9, 2, 5, (0.68, 0.44, 0.24), 0.8, 1),
    "japanese_chin": (18, 2, 12, (0.9, 0.88, 0.84), 0.1, 1), "samoyed": (30, 2, 21, (0.92, 0.9, 0.86), 0.92, 1),
    "scottish_terrier": (31, 2, 22, (0.12, 0.11, 0.11), 0.7, 1), "shiba_inu": (32, 2, 23, (0.74, 0.46, 0.22), 0.85, 1),
}  # fmt: skip
POSES = {1: ("cat", "lying_cat", "cat face"), 2: ("dog", "sitting_dog", "sitting_dog face")}
# Materials, each from a row on down (as a share of the height), and the things among them.
PLACES = (
    ({"plaster": 0, "carpet": 0.5}, ("sofa", "chair", "ball")), ({"brick": 0, "planks": 0.5}, ("sofa", "pottedplant")),
    ({"sky": 0, "leaves": 0.2, "grass": 0.4}, ("tree", "bucket")), ({"tiles": 0, "planks": 0.6}, ("chair", "bucket")),
    ({"leaves": 0, "litter": 0.5}, ("tree", "ball")), ({"plaster": 0, "paving": 0.6}, ("bicycle", "pottedplant")),
    ({"clouds": 0, "sand": 0.3}, ("umbrella", "ball")), ({"leaves": 0, "snow": 0.4}, ("tree", "tree", "ball")),
)  # fmt: skip
DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))  # the border reaches 5 pixels either way


def write(folder: Path, seed: int) -> None:
    """Write 54 JPEG photos into `images`, and their trimaps and the three lists into `annotations`.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    images, trimaps = folder / IMAGES, folder / ANNOTATIONS / TRIMAPS
    for home in (images, trimaps):
        home.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[str]] = {name: [] for name in COUNTS}
    taken = set(EXCLUDED)
    for name, count in COUNTS.items():
        for index in rng.permutation(count):
            breed = list(BREEDS)[index % len(BREEDS)]
            stem = next(stem for n in rng.permutation(250) if (stem := f"{breed}_{n + 1}") not in taken)
            taken.add(stem)
            image, trimap = _photo(rng, breed)
            (images / f"{stem}.jpg").write_bytes(cv2.imencode(".jpg", image[..., ::-1])[1].tobytes())
            (trimaps / f"{stem}.png").write_bytes(image_io.encode_png(trimap))
            rows[name].append(" ".join(map(str, (stem, *BREEDS[breed][:3]))))
    rows["list.txt"] = HEADER + sorted((row for lines in rows.values() for row in lines), key=natural)
    for name, lines in rows.items():
        (folder / ANNOTATIONS / name).write_bytes("\n".join([*lines, ""]).encode("ascii"))


def _photo(rng: np.random.Generator, breed: str) -> tuple[np.ndarray, np.ndarray]:
    """Render a photo, (h, w, 3) uint8, and its trimap, (h, w) uint8: 1 pet, 2 background, 3 border."""
    _, species, _, color, marking, stretch = BREEDS[breed]
    h, w = ((288, 384), (256, 384), (384, 300))[rng.integers(3)]
    canvas = Canvas(rng, h, w)
    grounds, things = PLACES[rng.integers(len(PLACES))]
    for name, top in grounds.items():
        materials.layer(canvas, name, 0, top, 0.03 * (top > 0))
    for name in things:
        place, size = (rng.uniform(0, w), rng.uniform(0.6, 0.8) * h), rng.uniform(0.15, 0.35) * h
        figures.draw(canvas, name, place, size, colors.paint_color(rng, 0.6), 0, foot=True)
    pose, _, face = POSES[species][rng.integers(3)].partition(" ")
    size = (rng.uniform(0.7, 0.9) if face else rng.uniform(0.32, 0.5)) * min(h, w)
    place = rng.uniform(0.3, 0.7) * w, 0.45 * h + 0.42 * size if face else rng.uniform(0.88, 1.0) * h
    figures.draw(canvas, pose, place, size, np.array(color) * rng.uniform(0.85, 1.1), 1, rng.normal(0, 0.06), not face)
    canvas.image[(noise(rng, h, w, 0.35 * size / stretch, 2, stretch) > 0.55) & (canvas.labels == 1)] *= marking
    hair = [(axis + 4 * noise(rng, h, w, 2.5, 1)).astype(np.float32) for axis in np.mgrid[:h, :w]]  # a ragged outline
    canvas.image = cv2.remap(canvas.image, *hair[::-1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    canvas.labels = cv2.remap(canvas.labels, *hair[::-1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
    if rng.random() < 0.6:  # in front of the pet
        place, size = (rng.uniform(0.2, 0.8) * w, 0.98 * h), rng.uniform(0.07, 0.14) * h
        figures.draw(canvas, things[-1], place, size, colors.paint_color(rng), 0, foot=True)
    image = canvas.photograph()
    if rng.random() < 0.06:  # a few of the official photos are black and white
        image[:] = image.mean(axis=2, keepdims=True)
    pet = cv2.medianBlur((canvas.labels == 1).astype(np.uint8), 5)
    return image, np.where(cv2.erode(pet, DISC) > 0, 1, np.where(cv2.dilate(pet, DISC) > 0, 3, 2)).astype(np.uint8)
