"""`promptseg segment`: its results, those of a run with the same prompts, and one line for every mistake."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import segment_project
import tifffile
import torch
from PIL import Image
from promptseg import models
from promptseg.cli import main, overlay
from promptseg.core.runs import CascadePrompt
from promptseg.data import generated_masks, image_io, records, rle
from promptseg.evaluation import counts
from promptseg.inference import automatic_masks, component_prompts
from promptseg.inference.class_maps import predict_classes
from promptseg.nn import weights
from promptseg.prompts import Prompt
from promptseg.prompts.automatic import AutomaticMasks
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points
from promptseg.prompts.support import Support, SupportImage
from promptseg.prompts.text import Text
from segment_project import TEXT, photo
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return segment_project.make(tmp_path_factory.mktemp("project"))


@pytest.fixture
def run(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    return segment_project.command(tmp_path / "out")


@pytest.fixture
def image(tmp_path):
    return photo(tmp_path / "a.png")


@pytest.fixture
def entry(tmp_path):
    """What was written to a JSON file."""
    return lambda name="a": json.loads((tmp_path / f"out/{name}.json").read_text())


@pytest.fixture
def is_mask(folder, tmp_path):
    """Whether the mask that was written is that of a run with these prompts, as it is scored."""

    def compare(name, prompts, classes=1, threshold=0.5):
        segmenter = models.load(name).load(folder / "data/checkpoints" / name, classes)
        pixels = image_io.read_image(tmp_path / "a.png")
        maps = eight_bits(segmenter, pixels, prompts, classes)
        return np.array_equal(written_mask(tmp_path), counts.label_map(maps, threshold))

    return compare


def eight_bits(segmenter, pixels, prompts, classes):
    maps = predict_classes(segmenter, segmenter.encode([pixels]), prompts, (classes, *pixels.shape[:2]))
    return records.unpack(records.Prediction("a", maps.packed(), "[]"), classes)


def written_mask(tmp_path):
    return np.array(Image.open(tmp_path / "out/a_mask.png"))


def written(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_a_mask_an_overlay_and_run_lengths_that_agree(run, tmp_path, image, entry):
    (line,) = run(image, *TEXT, "--text", "a tree", "--threshold", "0.45")
    assert written(tmp_path / "out") == ["a.json", "a_mask.png", "a_overlay.png"]
    shown = " ".join(CliRunner().invoke(main.app, ["segment", "--help"]).stdout.split())
    assert all(name.replace("a", "NAME", 1) in shown for name in written(tmp_path / "out"))
    mask = written_mask(tmp_path)
    assert mask.shape == (40, 60) and mask.dtype == np.uint8 and mask.max() <= 2 and mask.any()
    about = entry()
    assert about["image"] == {"file_name": image.as_posix(), "height": 40, "width": 60}
    assert (about["model"], about["threshold"]) == ("clipseg", 0.45)
    assert about["prompts"] == [{"target": 1, "text": "fire"}, {"target": 2, "text": "a tree"}]
    for label, annotation in enumerate(about["annotations"], 1):
        assert annotation["category_id"] == label and annotation["area"] == np.count_nonzero(mask == label)
        assert np.array_equal(rle.decode(annotation["segmentation"]), mask == label)
        if annotation["area"]:
            y, x = np.nonzero(mask == label)
            assert annotation["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
    shares = ", ".join(f"{name} {np.mean(mask == label):.1%}" for label, name in enumerate(("fire", "a tree"), 1))
    assert line.startswith(f"a: {shares}, ") and line.endswith(" s")
    assert Image.open(tmp_path / "out/a_overlay.png").size[0] == overlay.SMALLEST


@pytest.mark.parametrize(
    "options, prompts",
    [
        ("--box 5,6,30,40 --box 20,1,43.5,39", [{"box": [5, 6, 30, 40]}, {"box": [20, 1, 43.5, 39]}]),
        ("--point 30,20 --point 10,12.5 --no-point 59,0",
         [{"points": [[30, 20], [10, 12.5], [59, 0]], "labels": [1, 1, 0]}]),
        ("--point 30,20 --no-point 10,12.5 --box 5,6,30,38",
         [{"points": [[30, 20], [10, 12.5]], "labels": [1, 0], "box": [5, 6, 30, 38]}]),
        ("--no-point 10,12.5 --box 5,6,30,38", [{"points": [[10, 12.5]], "labels": [0], "box": [5, 6, 30, 38]}]),
    ],
)  # fmt: skip
def test_the_mask_is_the_one_that_a_run_would_be_scored_by(options, prompts, run, image, entry, is_mask):
    run(image, "--model", "sam", *options.split())
    assert entry()["prompts"] == [{"target": 1, **prompt} for prompt in prompts]
    assert entry()["annotations"][0]["category"] == "object"
    parts = []
    for each in prompts:
        points = [Points(np.array(each["points"]), np.array(each["labels"]))] if "points" in each else []
        box = [Box(np.array(each["box"], float))] if "box" in each else []
        parts.append(Prompt.of(*points, *box))
    assert is_mask("sam", parts)


def square(size, left, top, side, iou):
    mask = np.zeros(size, bool)
    mask[top : top + side, left : left + side] = True
    box = left, top, left + side - 1, top + side - 1
    return generated_masks.GeneratedMask(rle.encode(mask), box, iou, 0.97, (left + 0.5, top + 0.5), (0, 0, *size[::-1]))


@pytest.mark.parametrize("count", [0, 3, 300])
def test_automatic_masks_are_numbered_and_smaller_ones_are_on_top(count, run, tmp_path, monkeypatch, image, entry):
    masks = [square((40, 60), 2 * (i % 30), 2 * (i // 30 % 20), 1, 0.95) for i in range(count)]
    if count:
        masks[1] = square((40, 60), 0, 0, 20, 0.99)
    calls = []
    monkeypatch.setattr(automatic_masks, "generate", lambda *arguments: calls.append(arguments) or masks)
    lines = run(image, "--model", "sam", "--auto", "--auto-points", "7")
    ((_, features, pixels, settings),) = calls
    assert settings == AutomaticMasks(points=7)
    assert torch.equal(features["image"], models.load("sam").create("tiny", 0).encode([pixels])["image"])
    labels = written_mask(tmp_path)
    assert labels.dtype == (np.uint16 if count > 255 else np.uint8) and labels.max() == count
    assert entry()["automatic"]["points"] == 7
    assert [annotation["id"] for annotation in entry()["annotations"]] == [*range(1, count + 1)]
    for annotation, mask in zip(entry()["annotations"], masks, strict=True):
        assert np.array_equal(rle.decode(annotation["segmentation"]), mask.mask())
        assert (annotation["predicted_iou"], annotation["stability_score"]) == (mask.iou, 0.97)
        assert annotation["area"] == mask.mask().sum() >= (labels == annotation["id"]).sum()
        assert (labels[mask.mask()] > 0).all()
    if count:
        assert labels[0, 0] == 1 and labels[1, 1] == 2  # the small square is on top of the large one
    assert lines[0].startswith(f"a: {count} masks over {np.mean(labels > 0):.1%}, ")
    assert Image.open(tmp_path / "out/a_overlay.png").size[0] == overlay.SMALLEST


def test_a_support_image_is_a_prompt_as_in_a_run(run, tmp_path, image, entry, is_mask):
    shown, mask, path = photo(tmp_path / "shown.jpg", (50, 44), 1), np.zeros((50, 44), np.uint8), tmp_path / "mask.png"
    mask[10:30, 5:25] = 255
    Image.fromarray(mask).save(path)
    options = "--support", shown, "--support-mask", path
    support = Support((SupportImage(image_io.read_image(shown), mask > 0),), ("darken", "blur", "crop"), 0.75)
    for words, parts, name in (((), [support], "object"), (("--text", "fire"), [Text("fire"), support], "fire")):
        assert run(image, "--model", "clipseg", *options, *words)[0].startswith(f"a: {name} ")
        assert is_mask("clipseg", [Prompt.of(*parts)])
    assert entry()["prompts"] == [{"target": 1, "text": "fire", "support": 0.75}]
    assert run(image, *TEXT, "--text", "b", *options) == "with --support give one --text"
    assert run(image, "--model", "sam", *options).startswith("sam takes no --support; give --auto or --box")
    for size, message in (((50, 44), "it is black"), ((44, 50), "must be of one size")):
        Image.fromarray(np.zeros(size, np.uint8)).save(path)
        assert message in run(image, "--model", "clipseg", *options)


def test_a_cascade_refines_probability_maps_as_its_stage_does(folder, run, tmp_path, image, entry, is_mask):
    line = run(image, *TEXT, "--text", "a tree", "--threshold", "0.45", "--cascade", "sam")[0]
    about = entry()
    assert line.startswith("a: fire ")
    assert about["model"] == "clipseg" and about["weights"] == "data/checkpoints/clipseg"
    assert about["cascade"] == {"model": "sam", "prompt": CascadePrompt().model_dump()}
    clipseg = models.load("clipseg").load(folder / "data/checkpoints/clipseg", 2)
    phrases = [Prompt.of(Text("fire")), Prompt.of(Text("a tree"), target=2)]
    refining = []
    for target, values in enumerate(eight_bits(clipseg, image_io.read_image(image), phrases, 2), 1):
        refining += component_prompts.component_prompts(values.astype(np.float32) / 256, CascadePrompt(), target)
    assert refining and len(about["prompts"]) == 2 + len(refining)
    assert is_mask("sam", refining, 2, 0.45)
    assert run(image, "--weights", "data/weights/pets", "--cascade", "sam")[0].startswith("a: cat ")
    assert entry()["weights"] == "data/weights/pets"


def test_a_cascade_takes_the_boxes_of_a_detector(run, tmp_path, image, entry, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = "--checkpoint", "tiny", "--text", "fire"
    run(image, "--model", "owlv2", *tiny, "--cascade", "sam")
    about = entry()
    assert about["cascade"]["prompt"]["by"] == "box"
    phrase, *boxes = about["prompts"]
    reached = [each["box"] for each in phrase["detections"] if each["probability"] >= 0.5]
    assert phrase["text"] == "fire" and 0 < len(boxes) <= min(len(reached), CascadePrompt().max_components)
    assert all(box.keys() == {"target", "box"} for box in boxes)


def test_phrases_that_are_together_change_each_others_boxes(run, tmp_path, image, entry, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phrases = "--model", "grounding_dino", "--checkpoint", "tiny", "--text", "fire", "--text", "a tree"
    scores = []
    for flags in ((), ("--together",)):
        run(image, *phrases, *flags)
        scores.append([[each["probability"] for each in of_class["detections"]] for of_class in entry()["prompts"]])
    assert [len(each) for each in scores] == [2, 2] and scores[0] != scores[1]


def test_the_threshold_is_that_of_the_run_unless_another_is_given(run, image, entry):
    tuned = "--weights", "data/weights/tuned"
    run(image, *tuned)
    assert entry()["threshold"] == 0.35
    note = "note: threshold 0.35, chosen on the validation split of data/weights/tuned; --threshold gives another"
    assert note in run.errors.splitlines()
    run(image, *tuned, "--threshold", "0.6")
    assert entry()["threshold"] == 0.6 and "threshold" not in run.errors
    for others in (("--weights", "data/weights/pets"), (*tuned, "--cascade", "sam"), TEXT):  # have none of their own
        run(image, *others)
        assert entry()["threshold"] == 0.5 and "threshold" not in run.errors


def test_weights_that_are_not_in_data_checkpoints(run, tmp_path, image, entry, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(image, *TEXT, "--checkpoint", "tiny", "--cascade", "sam")[0].startswith("a: fire ")
    box = "--box", "10,10,50,30"
    assert "object" in run(image, "--model", "sam2", "--checkpoint", "tiny", *box)[0]
    hub = tmp_path / "hub"
    assert run(image, "--model", "sam", "--checkpoint", hub, *box).startswith(f"sam: nothing at '{hub}'")
    models.load("sam").create("tiny", 0).network.save_pretrained(hub)
    assert "object" in run(image, "--model", "sam", "--checkpoint", hub, *box)[0]
    assert entry()["weights"] == str(hub)


def test_each_slice_of_a_stack_is_an_image(run, tmp_path, entry):
    slices = np.random.default_rng(0).integers(0, 256, (2, 24, 30), np.uint8)
    tifffile.imwrite(tmp_path / "s.tif", slices, photometric="minisblack")
    assert [line.partition(":")[0] for line in run(tmp_path, *TEXT)] == ["s_000", "s_001"]
    image = {"file_name": (tmp_path / "s.tif").as_posix(), "height": 24, "width": 30}
    assert [entry(name)["image"] for name in ("s_000", "s_001")] == [{**image, "slice": 0}, {**image, "slice": 1}]


def test_images_of_one_name_do_not_replace_each_others_results_or_other_images(run, tmp_path, entry):
    paths = [photo(tmp_path / "images" / name, seed=i) for i, name in enumerate(("a.png", "a.jpg", "sub/a.png"))]
    shown = ["images/a", "a.jpg", "sub/a"]
    assert [line.partition(":")[0] for line in run(*paths, *TEXT)] == shown
    endings = "_mask.png", "_overlay.png", ".json"
    assert written(tmp_path / "out") == sorted(name + ending for name in shown for ending in endings)
    assert [entry(name)["image"]["file_name"] for name in shown] == [path.as_posix() for path in paths]
    paths = photo(tmp_path / "a.png"), photo(tmp_path / "a_mask.png", seed=1)
    before = [path.read_bytes() for path in paths]
    message = f"{paths[1]}: an image, which results of {paths[0]} would replace; give another --out"
    assert run(*paths, *TEXT, out=tmp_path).startswith(message)
    assert [path.read_bytes() for path in paths] == before


def test_a_fine_tuned_run_needs_no_more_than_its_folder(run, image, entry):
    released = run(image, *TEXT)[0]
    finetuned = run(image, "--weights", "data/weights/fires")[0]  # prompted as it was trained
    assert finetuned.startswith("a: fire ") and finetuned.split()[2] != released.split()[2]
    assert (entry()["model"], entry()["weights"]) == ("clipseg", "data/weights/fires")
    assert run(image, "--weights", "data/weights/pets")[0].startswith("a: cat ")
    assert run(image, "--weights", "data/weights/fires", "--text", "smoke")[0].startswith("a: smoke ")
    assert run(image, "--model", "clipseg", "--classes", "road, car")[0].startswith("a: road ")
    assert [prompt["text"] for prompt in entry()["prompts"]] == ["road", "car"]


def test_the_checkpoint_of_a_run_is_found_by_its_content(folder, run, tmp_path, image, monkeypatch):
    shutil.copytree(folder, tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    place, other = Path("data/checkpoints"), models.load("unet").create("tiny", 1)
    (place / "unet").rename(place / "earlier")
    weights.write(place / "unet", other.configuration(), other.state_dict())
    assert len(run(image, "--weights", "data/weights/pets")) == 1
    wrong = run(image, "--weights", "data/weights/pets", "--checkpoint", place / "unet")
    assert "trained from another checkpoint" in wrong


@pytest.mark.parametrize(
    "name, arguments", [("sam", ["--model", "sam", "--box", "0,0,9,9"]), ("unet", ["--weights", "data/weights/pets"])]
)
def test_a_note_says_that_a_checkpoint_is_tiny(name, arguments, run, image):
    run(image, *arguments)
    assert run.errors.startswith(f"note: data/checkpoints/{name} is the tiny") and run.errors.count("\n") == 1
