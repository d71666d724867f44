"""Rendering of synthetic images: reproducible, and with masks of the visible pixels."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic_scenes import INDICES, PRETRAIN, digest
from world import rendering, target_masks
from world.kinds import KINDS
from world.scene import BACKGROUND


def test_images_are_the_same_in_any_process_and_order():
    here = [digest(index, kind) for kind in KINDS for index in (5, 2)]
    code = (
        "from synthetic_scenes import digest; from world.kinds import KINDS; "
        "print([digest(n, k) for k in reversed(KINDS) for n in (2, 5)][::-1])"
    )
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(PRETRAIN), str(PRETRAIN.parent), str(Path(__file__).parent)]),
        "PYTHONHASHSEED": "7",
    }
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == here


def test_seeds_splits_indices_and_kinds_have_their_own_images():
    first = (0, "train", 1, "general")
    changes = [(0, 1), (1, "val"), (1, "test"), (2, 2), (3, "faint"), (3, "fine")]
    arguments = [first, *((*first[:place], other, *first[place + 1 :]) for place, other in changes)]
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
    monkeypatch.setattr(
        rendering, "_photograph", lambda rng, image, kind: np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    )
    real = rendering.Canvas.add_object
    compared = 0
    for index in range(30):
        last = {}

        def add_object(self, family, parts, radius, center, *_, last=last):
            last["before"] = self.image.copy(), self.labels.copy()
            real(self, family, parts, radius, center, 0.0, 1.0)
            last["after"] = self.image.copy(), self.labels.copy(), self.objects[-1]

        monkeypatch.setattr(rendering.Canvas, "add_object", add_object)
        rendering.render(0, "test", index, "general")
        if last:
            (image, labels), (image_after, labels_after, added) = last["before"], last["after"]
            changed = (image != image_after).any(axis=-1)
            mask = np.isin(labels_after, added.ids)
            assert not (changed & ~mask).any() and (labels == labels_after)[~mask].all()
            compared += mask.sum() > 0 and changed[mask].mean() > 0.9
    assert compared >= 10


@pytest.mark.parametrize("kind", KINDS)
def test_targets_are_large_enough_and_visible(kind):
    count = 0
    for index in INDICES:
        scene = rendering.render(0, "val", index, kind)
        targets = target_masks.sample_targets(np.random.default_rng(index), scene, 6)
        assert len(targets) in (0, 6)
        count += len(targets) > 0
        for mask in targets:
            assert mask.dtype == bool and mask.sum() >= target_masks.MIN_PIXELS
            assert target_masks.is_visible(scene.image, mask)
    assert count > 0.7 * len(INDICES)


def test_no_object_is_visible_in_a_flat_image():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    flat = np.full((60, 60, 3), 90, np.uint8)
    assert not target_masks.is_visible(flat, mask)
    flat[mask] = 110
    assert target_masks.is_visible(flat, mask)


def test_faint_images_are_gray_and_fine_ones_have_thin_strokes():
    faint = [rendering.render(0, "val", index, "faint").image for index in range(10)]
    assert all((image == image[..., :1]).all() for image in faint)
    fine = [rendering.render(0, "val", index, "fine") for index in range(20)]
    strokes = [each.stroke for scene in fine for each in scene.objects if each.stroke]
    assert len(strokes) > 10 and np.median(strokes) <= 4


def test_plain_images_have_no_textures_and_larger_objects():
    plain, general = ([rendering.render(0, "val", n, kind) for n in range(20)] for kind in ("plain", "general"))
    assert {each.texture for scene in plain for each in scene.objects} <= {"plain", None}

    def median_area(scenes):
        objects = [(scene, each) for scene in scenes for each in scene.objects if each.shape != BACKGROUND]
        return np.median([each.full_pixels / scene.labels.size for scene, each in objects])

    assert median_area(plain) > 2 * median_area(general)


def test_synthetic_images_share_no_code_with_the_samples_of_datasets():
    files = [path for path in PRETRAIN.rglob("*.py") if PRETRAIN / "data" not in path.parents]
    assert len(files) > 20
    for path in files:
        names = []
        for node in ast.walk(ast.parse(path.read_text())):
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not [name for name in names if name.startswith(("promptseg.synthetic", "promptseg.datasets"))], path
        if path.parent.name == "world":
            assert not [name for name in names if name.startswith("promptseg")], path
