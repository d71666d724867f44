"""The hub's layout: what its card says loads in a process of its own, and gives the masks of `promptseg segment`."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys

import export_project
import numpy as np
import promptseg
import pytest
from export_project import exported, project
from PIL import Image
from promptseg.cli import load_model
from promptseg.cli.prompt_options import PromptRequest
from promptseg.core.errors import UserError
from promptseg.export import export
from promptseg.export.run import ExportedRun

__all__ = ["exported", "project"]  # fixtures

POINTS = {"points": [[45, 42]]}
BOX = {"box": [20, 20, 62, 61]}
PHRASES = {"text": ["a disc", 'the "square"']}
BOXES = '{"input_boxes": [[[20, 20, 62, 61]]]}'
# Size of an image that the networks take as it is. transformers resizes with torchvision, whose values differ from
# Pillow's by up to one of 255, on which masks of random weights hang.
SAME = 256, 256
CARDS = [  # run, prompt, size of the image
    ("cells-sam", POINTS, export_project.SIZE),
    ("cells-sam", BOX, export_project.SIZE),
    ("cells-medsam", BOX, export_project.SIZE),
    ("cells-clipseg", PHRASES, export_project.SIZE),
    ("cells-cascade", POINTS, export_project.SIZE),
    ("cells-lora", POINTS, SAME),
    ("cells-lora --adapter", POINTS, SAME),
    ("cells-sam2", BOX, SAME),
    ("cells-edgetam", BOX, SAME),
    ("cells-sam3", POINTS, (224, 224)),
    ("cells-sam2-20", POINTS, SAME),
    ("cells-sam2-20 --adapter", POINTS, SAME),
]
RUN_CARDS = """
import json, os, sys
import numpy
for folder, code in json.load(open(sys.argv[1])):
    os.chdir(folder)
    names = {}
    exec(code, names)
    numpy.save("mask.npy", numpy.asarray(names["mask"]).astype(numpy.uint8))
assert "promptseg" not in sys.modules
"""


def least_iou(mask, other):
    """Of the labels of two masks, background among them."""
    assert mask.shape == other.shape and len(np.unique(other)) > 1
    pairs = [(mask == label, other == label) for label in np.unique(other)]
    return min((one & two).sum() / (one | two).sum() for one, two in pairs)


def own_mask(project, run, prompt, image):
    """The mask of `promptseg segment` for the run's weights and checkpoint."""
    home, settings = project
    entry = settings.run(run)
    tuned = home / "data/weights" / run
    source = home / "data/checkpoints" / entry.model
    model = promptseg.load(entry.model, source=source, finetuned=tuned if tuned.is_dir() else None)
    return model.segment(image, **prompt).mask


def code_of_card(folder, prompt):
    """The code of a model card, with the prompt in place of its own."""
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    code = code.replace("120, 80, 200, 160", "20, 20, 62, 61").replace("120, 80", "45, 42")
    return re.sub(r"^prompt = .*", f"prompt = {BOXES}", code, flags=re.MULTILINE) if "box" in prompt else code


@pytest.fixture(scope="module")
def cards(project, tmp_path_factory):
    """Of each of CARDS its folder and the mask that the code of its card gives; all run in one new process."""
    home, settings = project
    out = tmp_path_factory.mktemp("cards")
    run_of = {name: ExportedRun(name.split()[0], settings, export_project.folders(home)) for name, *_ in CARDS}
    for name, run in run_of.items():
        export(run, "hub", out / name, adapter="--adapter" in name)
    jobs, places = [], []
    for number, (name, prompt, size) in enumerate(CARDS):
        places.append(shutil.copytree(out / name, out / str(number)))
        Image.fromarray(export_project.draw(3, size=size)[0]).save(places[-1] / "image.png")
        base = out / f"cells-{run_of[name].entry.model}"  # what --adapter leaves out
        jobs.append([str(places[-1]), code_of_card(places[-1], prompt).replace('"BASE"', repr(str(base)))])
    (out / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, "-c", RUN_CARDS, str(out / "jobs.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [(place, np.load(place / "mask.npy")) for place in places]


@pytest.mark.parametrize("number", range(len(CARDS)), ids=[f"{name} {next(iter(prompt))}" for name, prompt, _ in CARDS])
def test_the_code_on_the_card_needs_no_promptseg_and_gives_the_same_mask(cards, project, number):
    (name, prompt, size), (folder, mask) = CARDS[number], cards[number]
    run, image = name.split()[0], export_project.draw(3, size=size)[0]
    expected = own_mask(project, run, prompt, image)
    assert least_iou(mask, expected) > 0.999
    if "--adapter" not in name:
        again = promptseg.load(source=folder)
        assert again.threshold == export_project.THRESHOLDS.get(run, 0.5)
        assert np.array_equal(again.segment(image, **prompt).mask, expected)


def test_an_exported_folder_brings_its_model_classes_and_threshold_to_segment(exported):
    folder = exported("cells-unet", "hub")
    loaded = load_model.load(load_model.Selection(checkpoint=str(folder)), PromptRequest("none"))
    assert (loaded.segmenter.NAME, loaded.classes) == ("unet", promptseg.load(source=folder).classes)
    assert loaded.threshold == export_project.THRESHOLDS["cells-unet"]
    with pytest.raises(UserError, match="is a run of unet; leave --model out"):
        load_model.load(load_model.Selection(model="sam", checkpoint=str(folder)), PromptRequest("none"))


@pytest.mark.parametrize(
    ("run", "prompt"), [("cells-unet", {}), ("cells-hq", BOX), ("cells-box", BOX), ("cells-clip", PHRASES)]
)
def test_an_architecture_of_promptseg_loads_with_it_and_the_card_says_so(exported, project, run, prompt):
    folder, image = exported(run, "hub"), export_project.draw(3)[0]
    expected = own_mask(project, run, prompt, image)
    assert np.array_equal(promptseg.load(source=folder).segment(image, **prompt).mask, expected)
    card = (folder / "README.md").read_text()
    assert "The architecture is promptseg's own" in card and "library_name: promptseg" in card


def test_an_adapter_is_small_and_in_the_layout_of_peft(exported, project):
    folder = exported("cells-lora", "hub", adapter=True)
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert settings["r"] == 8 and settings["modules_to_save"] == ["mask_decoder"]
    whole = project[0] / "data/checkpoints/sam/model.safetensors"
    assert (folder / "adapter_model.safetensors").stat().st_size < whole.stat().st_size
    assert not (folder / "model.safetensors").exists()


def test_the_card_says_what_was_measured(exported):
    card = (exported("cells-lora", "hub") / "README.md").read_text()
    for words in (
        "Drawn cells", "licence of the data | none", "5 images with ground truth, 1 without, of 5 groups",
        "1 disc, 2 square", "built-in tiny stand-in", "trained: lora, mask_decoder", "1 random point",
        "threshold | 0.35", "95 % interval", "A floor, which does not look at the image", "| pooled IoU | ",
        "14 runs were compared", "taken from the ground truth", "value: ",
    ):  # fmt: skip
        assert words in card, words
    cascade = (exported("cells-cascade", "hub") / "README.md").read_text()
    assert "`promptseg export cells-clipseg` has the other" in cascade


@pytest.mark.parametrize(
    ("run", "form", "adapter", "words"),
    [
        ("cells-floor", "hub", False, "whole_image is a floor without weights; --format coco, labels or fiftyone"),
        ("cells-floor", "onnx", False, "whole_image is a floor"),
        ("cells-unet", "hub", True, "it has no LoRA adapter"),
        ("cells-lora", "coco", True, "--adapter belongs to --format hub"),
        ("cells-clipseg", "onnx", False, "only unet, sam and sam2 are exported as ONNX, not clipseg"),
        ("clouds-text", "coco", False, "clouds holds point clouds"),
        ("cells", "coco", False, "unknown run 'cells'"),
        ("cells-sam", "csv", False, "unknown; known: coco, fiftyone, hub, labels, onnx"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(exported, tmp_path, run, form, adapter, words):
    with pytest.raises(UserError) as error:
        exported(run, form, adapter)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_without_its_packages_an_export_to_onnx_is_refused_in_one_line(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs the packages onnx and onnxscript: `pip install onnx onnxscript`$"):
        exported("cells-unet", "onnx")
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
