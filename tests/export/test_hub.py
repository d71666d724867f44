"""The hub's layout: what its card says loads in a process of its own, and gives the masks of `promptseg segment`."""

import json
import re
import subprocess
import sys

import export_project
import numpy as np
import promptseg
import pytest
from PIL import Image
from promptseg.core.errors import UserError

POINTS = {"points": [[45, 42]]}
BOX = {"box": [20, 20, 62, 61]}
BOXES = '{"input_boxes": [[[20, 20, 62, 61]]]}'
END = """
import sys
assert "promptseg" not in sys.modules
import numpy
numpy.save("mask.npy", numpy.asarray(mask).astype(numpy.uint8))
"""


def iou(mask, other):
    return (mask & other).sum() / (mask | other).sum()


def masks_agree(mask, other):
    assert mask.shape == other.shape and set(np.unique(mask)) > {0} and set(np.unique(mask)) == set(np.unique(other))
    return all(iou(mask == label, other == label) > 0.999 for label in np.unique(other))


def own_mask(project, run, prompt, image):
    """The mask of `promptseg segment` for the run's weights and checkpoint."""
    home, settings = project
    entry = settings.run(run)
    tuned = home / "data/weights" / run
    model = promptseg.load(
        entry.model, source=home / "data/checkpoints" / entry.model, finetuned=tuned if tuned.is_dir() else None
    )
    return model.segment(image, **prompt).mask


def run_card(folder, image, change=lambda code: code):
    """Run the code of a model card beside image.png, in a new process; returns its mask."""
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    code = code.replace("120, 80, 200, 160", "20, 20, 62, 61").replace("120, 80", "45, 42")
    image.save(folder / "image.png")
    done = subprocess.run([sys.executable, "-c", change(code) + END], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "mask.npy")


@pytest.fixture(scope="module")
def image():
    return Image.fromarray(export_project.draw(3)[0])


def with_box(code):
    return re.sub(r"^prompt = .*", f"prompt = {BOXES}", code, flags=re.MULTILINE)


def unchanged(code):
    return code


@pytest.mark.parametrize(
    ("run", "prompt", "change"),
    [
        ("cells-sam", POINTS, unchanged),
        ("cells-sam", BOX, with_box),
        ("cells-sam2", BOX, with_box),
        ("cells-medsam", BOX, unchanged),
        ("cells-clipseg", {"text": ["a disc", 'the "square"']}, unchanged),
        ("cells-lora", POINTS, unchanged),
        ("cells-sam2-20", POINTS, unchanged),
        ("cells-cascade", POINTS, unchanged),
    ],
)
def test_the_card_loads_it_with_transformers_alone_to_the_same_mask(exported, project, image, run, prompt, change):
    folder = exported(run, "hub")
    expected = own_mask(project, run, prompt, np.array(image))
    assert masks_agree(run_card(folder, image, change), expected)
    again = promptseg.load(source=folder)
    assert again.threshold == (0.35 if run in export_project.TRAINED else 0.5)
    assert np.array_equal(again.segment(np.array(image), **prompt).mask, expected)


@pytest.mark.parametrize(("run", "prompt"), [("cells-unet", {}), ("cells-box", BOX)])
def test_an_architecture_of_promptseg_loads_with_it_and_the_card_says_so(exported, project, image, run, prompt):
    folder = exported(run, "hub")
    expected = own_mask(project, run, prompt, np.array(image)) if prompt or run in export_project.TRAINED else None
    assert np.array_equal(promptseg.load(source=folder).segment(np.array(image), **prompt).mask, expected)
    card = (folder / "README.md").read_text()
    assert "The architecture is promptseg's own" in card and "library_name: promptseg" in card


def test_adapters_that_stay_apart_load_with_peft_to_the_same_mask(exported, project, image):
    folder, base = exported("cells-lora", "hub", adapter=True), exported("cells-sam", "hub")
    expected = own_mask(project, "cells-lora", POINTS, np.array(image))
    assert masks_agree(run_card(folder, image, lambda code: code.replace('"BASE"', repr(str(base)))), expected)
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert (
        settings["r"] == 8
        and settings["modules_to_save"] == ["mask_decoder"]
        and not (folder / "model.safetensors").exists()
    )
    assert (folder / "adapter_model.safetensors").stat().st_size < (base / "model.safetensors").stat().st_size


def test_the_card_says_what_was_measured(exported):
    card = (exported("cells-lora", "hub") / "README.md").read_text()
    for words in (
        "Drawn cells", "licence of the data | none", "5 images with ground truth, 1 without, of 5 groups",
        "1 disc, 2 square", "built-in tiny stand-in", "trained: lora, mask_decoder", "1 random point",
        "threshold | 0.35", "95 % interval", "A floor, which does not look at the image", "| pooled IoU | ",
        "11 runs were compared", "taken from the ground truth", "value: ",
    ):  # fmt: skip
        assert words in card, words
    cascade = (exported("cells-cascade", "hub") / "README.md").read_text()
    assert "`promptseg export cells-clipseg` has the other" in cascade


@pytest.mark.parametrize(
    ("run", "form", "adapter", "words"),
    [
        ("cells-floor", "hub", False, "whole_image is a floor without weights; --format coco, labels or fiftyone"),
        ("cells-floor", "onnx", False, "whole_image is a floor"),
        ("cells-sam2-20", "hub", True, "it has no LoRA adapter"),
        ("cells-lora", "coco", True, "--adapter belongs to --format hub"),
        ("cells-clipseg", "onnx", False, "only unet, sam and sam2 are exported as ONNX, not clipseg"),
        ("clouds-text", "coco", False, "clouds holds point clouds"),
        ("cells", "coco", False, "unknown run 'cells'"),
        ("cells-sam", "csv", False, "unknown; known: coco, fiftyone, hub, labels, onnx"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(exported, tmp_path, run, form, adapter, words):
    if form == "onnx":
        pytest.importorskip("onnxscript")
    with pytest.raises(UserError) as error:
        exported(run, form, adapter)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_files_is_never_overwritten(exported, tmp_path):
    (tmp_path / "cells-sam-hub").mkdir()
    (tmp_path / "cells-sam-hub" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="never overwritten"):
        exported("cells-sam", "hub")


@pytest.mark.parametrize(("run", "form"), [("cells-lora", "hub"), ("cells-unet", "hub"), ("cells-sam", "coco")])
def test_the_same_run_gives_the_same_bytes(exported, tmp_path, run, form):
    contents = []
    for _ in range(2):
        folder = exported(run, form)
        contents.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
        folder.rename(tmp_path / "first" if len(contents) == 1 else tmp_path / "second")
    assert contents[0] == contents[1]


def test_the_command_exports_to_a_folder_of_its_own(project, monkeypatch):
    from promptseg.cli import main
    from typer.testing import CliRunner

    monkeypatch.chdir(project[0])
    result = CliRunner().invoke(main.app, ["export", "cells-unet", "--format", "hub"])
    assert result.exception is None and result.stdout.startswith(
        "exports/cells-unet-hub: promptseg.load(source=FOLDER)"
    )
