"""Rendering of synthetic images: reproducible, and with masks of the visible pixels."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from promptseg.synthetic import figures
from promptseg.synthetic.figures import FIGURES
from promptseg.synthetic.materials import MATERIALS
from synthetic_scenes import INDICES, PRETRAIN, digest
from world import rendering
from world.fills import TEXTURES
from world.objects import BUILDS
from world.outlines import OUTLINES
from world.scene import BACKGROUND, KINDS


def test_images_are_the_same_in_any_process_and_order():
    here = [digest(index, kind) for kind in KINDS for index in (5, 2)]
    code = (
        "from synthetic_scenes import digest; from world.scene import KINDS; "
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
    real = rendering.SceneCanvas.add_object
    compared = 0
    for index in range(30):
        last = {}

        def add_object(self, family, parts, radius, center, *_, last=last):
            last["before"] = self.image.copy(), self.labels.copy()
            real(self, family, parts, radius, center, 0.0, 1.0)
            last["after"] = self.image.copy(), self.labels.copy(), self.objects[-1]

        monkeypatch.setattr(rendering.SceneCanvas, "add_object", add_object)
        rendering.render(0, "test", index, "general")
        if last:
            (image, labels), (image_after, labels_after, added) = last["before"], last["after"]
            changed = (image != image_after).any(axis=-1)
            mask = np.isin(labels_after, added.ids)
            assert not (changed & ~mask).any() and (labels == labels_after)[~mask].all()
            compared += mask.sum() > 0 and changed[mask].mean() > 0.9
    assert compared >= 10


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


def imported(path: Path) -> set[str]:
    """Return the names of the modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


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
