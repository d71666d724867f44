"""The world of synthetic images: outlines, reproducible rendering, masks of visible pixels, and kinds of images."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from promptseg.synthetic import figures
from promptseg.synthetic.figures import FIGURES
from promptseg.synthetic.materials import MATERIALS
from promptseg.synthetic.outlines import Outline, rasterize
from synthetic_scenes import INDICES, PRETRAIN, digest, imported
from world import rendering
from world.fills import TEXTURES
from world.objects import BUILDS
from world.outlines import OUTLINES, STRANDS
from world.scene import BACKGROUND, KINDS


def test_a_square_covers_the_expected_pixels_and_outlines_lie_around_their_center():
    square = Outline((np.array([(-1.0, -1), (1, -1), (1, 1), (-1, 1)]),))
    mask, left, top = rasterize(square, 10, 30, 20)
    y, x = np.nonzero(mask)
    edges = x.min() + left - 20, x.max() + left - 39, y.min() + top - 10, y.max() + top - 29
    assert np.abs(edges).max() <= 1
    for sample in OUTLINES.values():
        mask, left, top = rasterize(sample(np.random.default_rng(0)), 40, 100.5, 60.5)
        assert set(np.unique(mask)) == {0, 1}
        y, x = np.nonzero(mask)
        assert np.hypot(x + left + 0.5 - 100.5, y + top + 0.5 - 60.5).max() < 40 * 2.2


def filled_share(mask: np.ndarray, shape: str) -> tuple[float, float]:
    """Share of a bounding shape that a mask fills, and the ratio of its sides."""
    (contour, *_), _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    sides = cv2.minAreaRect(contour)[1]
    bounding_area = {
        "circle": np.pi * cv2.minEnclosingCircle(contour)[1] ** 2,
        "oval": np.pi / 4 * np.prod(sides),
        "triangle": cv2.minEnclosingTriangle(contour)[0],
        "hull": cv2.contourArea(cv2.convexHull(contour)),
    }
    return mask.sum() / bounding_area.get(shape, np.prod(sides)), max(sides) / min(sides)


@pytest.mark.parametrize("seed", range(4))
def test_outlines_have_the_shape_of_their_name(seed):
    """Share of a bounding shape that they fill, and number of holes."""
    masks = {shape: rasterize(OUTLINES[shape](np.random.default_rng(seed)), 50, 80, 80)[0] for shape in OUTLINES}
    for shape in ("circle", "oval", "triangle", "square", "rectangle"):
        share, ratio = filled_share(masks[shape], shape)
        assert share > 0.9, shape
        assert (ratio > 1.4) == (shape in ("oval", "rectangle")) or shape == "triangle", shape
    for shape in ("star", "cross", "crescent"):
        assert filled_share(masks[shape], "hull")[0] < 0.85, shape
    for shape, holes in (("ring", 1), ("grid", 4)):
        _, tree = cv2.findContours(masks[shape], cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        assert (tree[0, :, 3] >= 0).sum() >= holes, shape
    for shape in set(STRANDS) - {"line"}:
        assert filled_share(masks[shape], "rectangle")[0] < 0.75, shape


def test_images_are_the_same_in_any_process_and_order():
    here = [digest(index, kind) for kind in KINDS for index in (5, 2)]
    code = (
        "from synthetic_scenes import digest; from world.scene import KINDS; "
        "print([digest(n, k) for k in reversed(KINDS) for n in (2, 5)][::-1])"
    )
    paths = os.pathsep.join(map(str, [PRETRAIN, PRETRAIN.parent, Path(__file__).parent]))
    env = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == here


def test_seeds_splits_indices_and_kinds_have_their_own_images():
    arguments = [(0, "train", 1, "general"), (1, "train", 1, "general"), (0, "val", 1, "general")]
    arguments += [
        (0, "test", 1, "general"),
        (0, "train", 2, "general"),
        *((0, "train", 1, kind) for kind in ("faint", "fine")),
    ]
    assert len({rendering.render(*each).image.tobytes() for each in arguments}) == len(arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_every_pixel_belongs_to_one_object(kind):
    for index in INDICES:
        scene = rendering.render(0, "val", index, kind)
        assert scene.image.dtype == np.uint8 and scene.image.shape == (*scene.labels.shape, 3)
        assert all(rendering.SIDES[0] <= side <= rendering.SIDES[1] for side in scene.labels.shape)
        ids = [id for each in scene.objects for id in each.ids]
        assert ids == list(range(len(ids))) and set(np.unique(scene.labels)) <= set(ids)
        together = sum(scene.mask(each.ids).astype(int) for each in scene.objects)
        assert (together == 1).all()


def test_masks_are_the_pixels_that_an_object_changes(monkeypatch):
    """Without illumination, blur and noise, and with hard opaque edges."""
    monkeypatch.setattr(rendering, "_photograph", lambda rng, image, kind: np.uint8(image * 0))
    real, compared = rendering.SceneCanvas.add_object, []

    def add_object(self, family, parts, radius, center, *_):
        image, labels = self.image.copy(), self.labels.copy()
        real(self, family, parts, radius, center, 0.0, 1.0)
        changed, mask = (image != self.image).any(axis=-1), np.isin(self.labels, self.objects[-1].ids)
        assert not (changed & ~mask).any() and (labels == self.labels)[~mask].all()
        compared.append(mask.sum() > 0 and changed[mask].mean() > 0.9)

    monkeypatch.setattr(rendering.SceneCanvas, "add_object", add_object)
    for index in range(6):
        rendering.render(0, "test", index, "general")
    assert sum(compared) >= 10


def test_kinds_differ_in_color_strokes_textures_and_size():
    scenes = {kind: [rendering.render(0, "val", index, kind) for index in range(20)] for kind in KINDS}
    objects = {kind: [each for scene in rendered for each in scene.objects] for kind, rendered in scenes.items()}
    assert all((scene.image == scene.image[..., :1]).all() for scene in scenes["faint"])
    strokes = [each.stroke for each in objects["fine"] if each.stroke]
    assert len(strokes) > 10 and np.median(strokes) <= 4
    assert {each.texture for each in objects["plain"]} <= {"plain", None}

    def median_area(kind):
        sizes = [scene.labels.size for scene in scenes[kind] for _ in scene.objects]
        areas = zip(objects[kind], sizes, strict=True)
        return np.median([each.full_pixels / size for each, size in areas if each.shape != BACKGROUND])

    assert median_area("plain") > 2 * median_area("general")


def test_samples_have_other_objects_and_textures_than_the_training_images():
    """Both are drawn with one kit, from other shapes and other materials, so that zero-shot scores are zero-shot."""
    own = [path for path in PRETRAIN.rglob("*.py") if PRETRAIN / "data" not in path.parents]
    samples = [path for path in (PRETRAIN.parent / "promptseg").rglob("*.py") if path.parent.name != "pretrain"]
    assert len(own) > 15 and len(samples) > 100
    kit = {f"promptseg.synthetic.{name}" for name in ("canvas", "colors", "noise", "outlines")}
    for path in own:
        used = {name for name in imported(path) if name.startswith(("promptseg.synthetic.", "promptseg.datasets"))}
        assert {".".join(name.split(".")[:3]) for name in used} <= kit, path
    for path in samples:
        assert not [name for name in imported(path) if name.split(".")[0] in ("world", "pretrain")], path
    assert not FIGURES.keys() & {*OUTLINES, *BUILDS} and not MATERIALS.keys() & set(TEXTURES)
    for name in FIGURES:  # a single shape is what pretraining draws
        assert len(figures.parts(name)) > 1, name
