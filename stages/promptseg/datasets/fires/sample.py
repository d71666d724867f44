"""Offline stand-in for the Corsican Fire Database: generated photos and sequences in the official layout."""

from pathlib import Path

import numpy as np

from promptseg.data import image_io
from promptseg.datasets.fires.recipes import SEQUENCES, SINGLES, Recipe
from promptseg.datasets.fires.scene import Scene

FRAMES = 4  # per sequence


def write(folder: Path, seed: int) -> None:
    """Write 14 photos and 2 sequences of 4 frames with their masks, and data.csv, into `folder`/bdfire.

    They show fires of many sizes, and orange things that are not fire.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    folder = folder / "bdfire"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows = ['"name", "width", "height", "moment", "vegetation", "fire_percent"']  # columns are not the official ones
    for number, recipe in enumerate(SINGLES, 1):
        photo, _, mask = Scene(rng, recipe).frame()
        _write_images(folder, f"{number:03d}_{{}}.png", rgb=photo, gt=mask)
        rows.append(_csv_row(f"{number:03d}_rgb.png", recipe, mask))
    for sequence, recipe in SEQUENCES.items():
        scene = Scene(rng, recipe)
        for t in range(FRAMES):
            photo, near_infrared, mask = scene.frame(t)
            _write_images(folder, f"{sequence}_{{}}_{t + 1:03d}.png", rgb=photo, nir=near_infrared, gt=mask)
            rows.append(_csv_row(f"{sequence}_rgb_{t + 1:03d}.png", recipe, mask))
    (folder / "data.csv").write_bytes("\n".join(rows + [""]).encode("utf-8"))


def _write_images(folder: Path, name: str, **images: np.ndarray) -> None:
    """Write images as PNG; the keyword of each fills the gap in the name."""
    for kind, image in images.items():
        (folder / name.format(kind)).write_bytes(image_io.encode_png(image))


def _csv_row(name: str, recipe: Recipe, mask: np.ndarray) -> str:
    """Format a row as the official file does: all fields but the first have a space before their quote."""
    height, width = mask.shape
    moment = "night" if recipe.light == "night" else "day"
    fields = [name, width, height, moment, recipe.land, f"{(mask > 0).mean() * 100:.2f}"]
    return ", ".join(f'"{field}"' for field in fields)
