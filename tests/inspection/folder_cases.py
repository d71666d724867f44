"""Small folders as users have them."""

import json
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

SIDE = 48


def picture(seed: int, side: int = SIDE) -> np.ndarray:
    """A smooth image, (side, side, 3) uint8, unlike those of other seeds."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def squares(seed: int, count: int = 2, side: int = SIDE) -> np.ndarray:
    """Squares numbered 1 to count, (side, side) uint8, apart from each other; 0 elsewhere."""
    rng, labels = np.random.default_rng(seed), np.zeros((side, side), np.uint8)
    cells = rng.permutation(9)[:count]
    step = side // 3
    for number, cell in enumerate(sorted(cells.tolist()), 1):
        top, left = cell // 3 * step + 2, cell % 3 * step + 2
        labels[top : top + step - 5, left : left + step - 6] = number
    return labels


def save(path: Path, array: np.ndarray) -> None:
    """Write an image in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="rgb" if array.shape[-1] == 3 else "minisblack")
    else:
        Image.fromarray(array).save(path, quality=95) if path.suffix == ".jpg" else Image.fromarray(array).save(path)


def pairs(folder: Path, images: str, masks: str, names: list[str], value: int = 255) -> None:
    """Write an image and a mask of one class for each name, at paths with {}."""
    for seed, name in enumerate(names):
        save(folder / images.format(name), picture(seed))
        save(folder / masks.format(name), (squares(seed) > 0).astype(np.uint8) * np.uint8(value))


def numbered(count: int = 6) -> list[str]:
    """Names of images that suggest no groups."""
    return [f"img{number}" for number in range(count)]


def two_folders(folder: Path) -> None:
    pairs(folder, "images/{}.png", "masks/{}.png", numbered())


def beside(folder: Path) -> None:
    pairs(folder, "{}.jpg", "{}_mask.png", numbered(), 1)


def same_names(folder: Path) -> None:
    pairs(folder, "{}.jpg", "{}.png", numbered())


def splits(folder: Path) -> None:
    for split, seed in (("train", 0), ("valid", 10), ("test", 20)):
        for number in range(seed, seed + 4):
            save(folder / split / "images" / f"{number}.png", picture(number))
            save(folder / split / "masks" / f"{number}.png", (squares(number) > 0) * np.uint8(255))


def splits_inside(folder: Path) -> None:
    for split, seed in (("train", 0), ("test", 20)):
        for number in range(seed, seed + 4):
            save(folder / "img" / split / f"{number}.png", picture(number))
            save(folder / "gt" / split / f"{number}.png", (squares(number) > 0) * np.uint8(1))


def plates_in_folders(folder: Path) -> None:
    for number in range(8):
        home = folder / f"plate{number // 2}"
        save(home / "images" / f"{number}.png", picture(number))
        save(home / "masks" / f"{number}.png", (squares(number) > 0) * np.uint8(255))


def plates_in_names(folder: Path) -> None:
    pairs(folder, "images/{}.png", "masks/{}.png", [f"plate{n // 3}_{n % 3}" for n in range(12)])


def cellpose(folder: Path) -> None:
    for number in range(6):
        save(folder / f"a{number}.tif", picture(number))
        labels = squares(number, 7).astype(np.uint16)
        labels[20:30, 2:46] = 8  # touches those that it cuts
        labels[labels == 7] = 300 if number else 7
        save(folder / f"a{number}_cp_masks.tif", labels)


def several_masks(folder: Path) -> None:
    for number in range(6):
        save(folder / "images" / f"img{number}.png", picture(number))
        labels = squares(number, 3)
        for each in (1, 2, 3):
            save(folder / "masks" / f"img{number}_{each}.png", (labels == each) * np.uint8(255))


def folders_of_images(folder: Path) -> None:
    for number in range(6):
        home = folder / f"{number:04x}ab"
        save(home / "images" / f"{number:04x}ab.png", picture(number))
        for each in (1, 2, 3):
            save(home / "masks" / f"m{each}.png", (squares(number, 3) == each) * np.uint8(255))


def folders_of_classes(folder: Path) -> None:
    for number in range(6):
        save(folder / "images" / f"img{number}.png", picture(number))
        labels = squares(number, 2)
        for value, name in ((1, "leaf"), (2, "spot")):
            save(folder / "masks" / name / f"img{number}.png", (labels == value) * np.uint8(255))


def values(folder: Path) -> None:
    for number in range(6):
        labels = squares(number, 2)
        labels[0, 0] = 255
        save(folder / "images" / f"img{number}.png", picture(number))
        save(folder / "labels" / f"img{number}.png", labels)


def colors(folder: Path) -> None:
    table = np.array([[0, 0, 0], [60, 140, 60], [180, 80, 30]], np.uint8)
    for number in range(6):
        save(folder / "images" / f"img{number}.png", picture(number))
        save(folder / "masks" / f"img{number}.png", table[squares(number, 2)])


def jpeg_masks(folder: Path) -> None:
    pairs(folder, "images/{}.png", "masks/{}.jpg", numbered())


def deep(folder: Path) -> None:
    for number in range(6):
        save(folder / "images" / f"img{number}.tif", picture(number)[..., 0].astype(np.uint16) * 16 + 100)
        save(folder / "masks" / f"img{number}.png", (squares(number) > 0) * np.uint8(255))


def stack(folder: Path) -> None:
    for word, seed in (("left", 0), ("right", 50)):
        save(folder / f"{word}.tif", np.stack([picture(seed + n)[..., 0] for n in range(20)]))
        save(folder / f"{word}_mask.tif", np.stack([(squares(seed + n) > 0) * np.uint8(255) for n in range(20)]))


def slices(folder: Path, volumes: tuple[str, ...] = ("slice_",), count: int = 48, steps: int = 4) -> None:
    """Numbered slices of volumes, whose structures change within so many steps."""
    for number, volume in enumerate(volumes):
        for place in range(count):
            first = 100 * number + place // steps
            share = place % steps / steps
            image = (1 - share) * picture(first) + share * picture(first + 1)
            mask = squares(first + (2 * share > 1)) > 0
            save(folder / "images" / f"{volume}{place + 1:03d}.png", image.astype(np.uint8))
            save(folder / "masks" / f"{volume}{place + 1:03d}.png", mask * np.uint8(255))


def damaged(folder: Path) -> None:
    pairs(folder, "images/{}.png", "masks/{}.png", numbered(8))
    (folder / "masks" / "img1.png").write_bytes((folder / "masks" / "img1.png").read_bytes()[:60])
    save(folder / "masks" / "img2.png", np.zeros((20, 30), np.uint8))
    (folder / "masks" / "img3.png").unlink()
    save(folder / "images" / "img4.png", picture(5))  # a copy of img5
    (folder / "notes.txt").write_text("taken in May")


def coco(folder: Path) -> None:
    found: dict[str, list] = {"images": [], "annotations": [], "categories": [{"id": 3, "name": "cell"}]}
    for number in range(6):
        save(folder / "images" / f"img{number}.png", picture(number))
        found["images"].append({"id": number, "file_name": f"img{number}.png", "width": SIDE, "height": SIDE})
        for left in (4, 14):  # these two touch
            ring = [left, 5, left + 10, 5, left + 10, 20, left, 20]
            one = {"id": len(found["annotations"]), "image_id": number, "category_id": 3, "iscrowd": 0}
            found["annotations"].append({**one, "segmentation": [ring], "bbox": [left, 5, 10, 15], "area": 150})
    (folder / "annotations.json").write_text(json.dumps(found))


def labelme(folder: Path) -> None:
    for number in range(6):
        save(folder / f"img{number}.jpg", picture(number))
        shape = {
            "label": "crack",
            "shape_type": "rectangle",
            "points": [[5, 5], [20, 30]],
            "group_id": None,
            "flags": {},
        }
        found = {"version": "5.0.1", "flags": {}, "shapes": [shape], "imagePath": f"img{number}.jpg", "imageData": None}
        (folder / f"img{number}.json").write_text(json.dumps({**found, "imageHeight": SIDE, "imageWidth": SIDE}))


def yolo(folder: Path) -> None:
    for split, seed in (("train", 0), ("val", 20)):
        for number in range(seed, seed + 4):
            save(folder / "images" / split / f"{number}.jpg", picture(number))
            label = folder / "labels" / split / f"{number}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [leaf]\n")
