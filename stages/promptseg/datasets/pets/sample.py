"""Offline stand-in for Oxford-IIIT Pet: generated photos of cats and dogs in the official layout."""

from pathlib import Path

import numpy as np

from promptseg.data import image_io
from promptseg.data.file_names import natural
from promptseg.datasets.pets.breeds import BREEDS
from promptseg.datasets.pets.photo import photo
from promptseg.datasets.pets.poses import POSES
from promptseg.datasets.pets.reader import ANNOTATIONS, EXCLUDED, IMAGES, TRIMAPS
from promptseg.datasets.pets.rooms import ROOMS

COUNTS = {"trainval.txt": 30, "test.txt": 24}  # photos that each list names
HEADER = [
    "#Image CLASS-ID SPECIES BREED ID",
    "#ID: 1:37 Class ids",
    "#SPECIES: 1:Cat 2:Dog",
    "#BREED ID: 1-25:Cat 1:12:Dog",
    "#All images with 1st letter as captial are cat images",  # misspelled in the official list
    "#images with small first letter are dog images",
]


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
    rows = {name: [] for name in COUNTS}
    taken = set()
    for name, count in COUNTS.items():
        # Both lists have every breed, pose and room about equally often, each in an order of its own.
        breeds, poses, rooms = (_in_turn(rng, items, count) for items in (BREEDS, tuple(POSES), ROOMS))
        for breed, pose, room in zip(breeds, poses, rooms, strict=True):
            number = int(rng.choice([n for n in range(1, 250) if f"{breed.name}_{n}" not in taken | EXCLUDED]))
            stem = f"{breed.name}_{number}"
            taken.add(stem)
            jpeg, trimap = photo(rng, breed, pose, room)
            (images / f"{stem}.jpg").write_bytes(jpeg)
            (trimaps / f"{stem}.png").write_bytes(image_io.encode_png(trimap))
            rows[name].append(f"{stem} {breed.number} {breed.species} {breed.rank}")
    rows["list.txt"] = HEADER + sorted((row for lines in rows.values() for row in lines), key=natural)
    for name, lines in rows.items():
        (folder / ANNOTATIONS / name).write_bytes("\n".join([*lines, ""]).encode("ascii"))


def _in_turn(rng: np.random.Generator, items: tuple, count: int) -> list:
    """Repeat the items in random order up to `count`, each as often as any other."""
    rounds = [items[i] for _ in range(-(-count // len(items))) for i in rng.permutation(len(items))]
    return rounds[:count]
