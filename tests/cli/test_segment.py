"""`promptseg segment`: its results, those of a run with the same prompts, and one line for every mistake."""

import json

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from promptseg import models
from promptseg.cli import main, overlay
from promptseg.core.errors import UserError
from promptseg.core.runs import CascadePrompt
from promptseg.data import generated_masks, image_io, records, rle
from promptseg.evaluation import counts
from promptseg.inference import automatic_masks, component_prompts, prediction
from promptseg.nn import finetuned_weights, weights
from promptseg.prompts import Prompt
from promptseg.prompts.automatic import AutomaticMasks
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points
from promptseg.prompts.support import Support
from promptseg.prompts.text import Text
from typer.testing import CliRunner

MODELS = ("sam", "clipseg", "unet")
NO_HUB = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project with tiny checkpoints, a fine-tuned run of clipseg, and one of unet with two classes."""
    home = tmp_path_factory.mktemp("project")
    for name in MODELS:
        model = models.load(name).create("tiny", 0)
        weights.write(home / "data/checkpoints" / name, model.configuration(), model.state_dict(), model.files())
    for run, name, trainable, metadata in (
        ("fires", "clipseg", "network.decoder.", {"train": {"prompt": {"text": ["fire"]}}, "classes": ["blaze"]}),
        ("pets", "unet", "network.", {"train": {}, "classes": ["cat", "dog"]}),
    ):
        place = home / "data/checkpoints" / name
        model = models.load(name).load(place, len(metadata["classes"]))
        trained = [key for key, _ in model.named_parameters() if key.startswith(trainable)]
        torch.manual_seed(1)
        with torch.no_grad():
            for key in trained:
                model.get_parameter(key).add_(0.05 * torch.randn_like(model.get_parameter(key)))
        tensors = {name: model.state_dict()[name] for name in trained}
        finetuned_weights.write(home / "data/weights" / run, tensors, model.NAME, weights.digest(place), metadata)
    return home


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(image_io.encode_png(np.random.default_rng(0).integers(0, 255, (64, 72, 3), dtype=np.uint8)))
    return path


@pytest.fixture
def run(folder, tmp_path, monkeypatch):
    """Run the command in the project, results to `tmp_path/out`; returns its lines, or the message of its UserError."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PROMPTSEG_MIRROR", NO_HUB)

    def call(*arguments, out=tmp_path / "out") -> list[str] | str:
        arguments = [str(each) for each in (*arguments, "--out", out)]
        result = CliRunner().invoke(main.app, ["segment", *arguments])
        if isinstance(result.exception, UserError):
            message = str(result.exception)
            assert len(message.splitlines()) == 1 and message.isprintable()
            return message
        if result.exception:
            raise result.exception
        return result.stdout.splitlines()

    return call


def predicted(segmenter, path, prompts, classes=1):
    """The mask of a run with these prompts, as it is scored."""
    image = image_io.read_image(path)
    shape = (classes, *image.shape[:2])
    maps = prediction.probability_maps(segmenter, segmenter.encode([image]), prompts, shape)
    return counts.label_map(records.unpack(records.Prediction("a", records.pack(maps), "[]"), classes))


def photo(path, size=(40, 60), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[0] // 4 + 1, size[1] // 4 + 1, 3), np.uint8)
    Image.fromarray(cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)).save(path)
    return path


def written(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_a_mask_an_overlay_and_run_lengths_that_agree(run, tmp_path):
    path = photo(tmp_path / "a.png")
    lines = run(path, "--model", "clipseg", "--text", "fire", "--text", "a tree", "--threshold", "0.45")
    assert written(tmp_path / "out") == ["a.json", "a_mask.png", "a_overlay.png"]
    mask = np.array(Image.open(tmp_path / "out/a_mask.png"))
    assert mask.shape == (40, 60) and mask.dtype == np.uint8 and mask.max() <= 2 and mask.any()
    entry = json.loads((tmp_path / "out/a.json").read_text())
    assert entry["image"] == {"file_name": path.as_posix(), "height": 40, "width": 60}
    assert (entry["model"], entry["threshold"]) == ("clipseg", 0.45)
    assert entry["prompts"] == [{"target": 1, "text": "fire"}, {"target": 2, "text": "a tree"}]
    for label, annotation in enumerate(entry["annotations"], 1):
        assert annotation["category_id"] == label and annotation["area"] == np.count_nonzero(mask == label)
        segmentation = annotation["segmentation"]
        assert np.array_equal(rle.decode(segmentation), mask == label)
        if annotation["area"]:
            y, x = np.nonzero(mask == label)
            assert annotation["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
    shares = ", ".join(f"{name} {np.mean(mask == label):.1%}" for label, name in enumerate(("fire", "a tree"), 1))
    assert len(lines) == 1 and lines[0].startswith(f"a: {shares}, ") and lines[0].endswith(" s")
    assert Image.open(tmp_path / "out/a_overlay.png").size[0] == overlay.SMALLEST


def test_the_mask_is_the_one_that_a_run_would_be_scored_by(folder, run, tmp_path):
    path = photo(tmp_path / "a.png", (57, 43))
    run(path, "--model", "sam", "--box", "5,6,30,40.5", "--box", "20,1,43,57", "--threshold", "0.5")
    segmenter = models.load("sam").load(folder / "data/checkpoints/sam", 1)
    boxes = [Prompt.of(Box(np.array(corners))) for corners in ([5, 6, 30, 40.5], [20.0, 1, 43, 57])]
    assert np.array_equal(np.array(Image.open(tmp_path / "out/a_mask.png")), predicted(segmenter, path, boxes))


def test_positive_and_negative_points_are_one_prompt(run, tmp_path):
    run(photo(tmp_path / "a.png"), "--model", "sam", "--point", "30,20", "--point", "10,12.5", "--no-point", "59,0")
    entry = json.loads((tmp_path / "out/a.json").read_text())
    assert entry["prompts"] == [{"target": 1, "points": [[30, 20], [10, 12.5], [59, 0]], "labels": [1, 1, 0]}]
    assert entry["annotations"][0]["category"] == "object"


def test_points_and_a_box_are_one_prompt(folder, run, tmp_path):
    path = photo(tmp_path / "a.png")
    segmenter = models.load("sam").load(folder / "data/checkpoints/sam", 1)
    box = Box(np.array([5.0, 6, 30, 38]))
    for points, labels, options in (
        ([[30, 20], [10, 12.5]], [1, 0], ("--point", "30,20", "--no-point", "10,12.5")),
        ([[10, 12.5]], [0], ("--no-point", "10,12.5")),
    ):
        run(path, "--model", "sam", *options, "--box", "5,6,30,38")
        entry = json.loads((tmp_path / "out/a.json").read_text())
        assert entry["prompts"] == [{"target": 1, "points": points, "labels": labels, "box": [5, 6, 30, 38]}]
        prompt = Prompt.of(Points(np.array(points), np.array(labels)), box)
        assert np.array_equal(np.array(Image.open(tmp_path / "out/a_mask.png")), predicted(segmenter, path, [prompt]))


def square(size, left, top, side, iou):
    mask = np.zeros(size, bool)
    mask[top : top + side, left : left + side] = True
    box = left, top, left + side - 1, top + side - 1
    return generated_masks.GeneratedMask(rle.encode(mask), box, iou, 0.97, (left + 0.5, top + 0.5), (0, 0, *size[::-1]))


@pytest.mark.parametrize("count", [0, 3, 300])
def test_automatic_masks_are_numbered_and_smaller_ones_are_on_top(count, folder, run, tmp_path, monkeypatch):
    masks = [square((40, 60), 2 * (i % 30), 2 * (i // 30 % 20), 1, 0.95) for i in range(count)]
    if count:
        masks[1] = square((40, 60), 0, 0, 20, 0.99)
    calls = []
    monkeypatch.setattr(automatic_masks, "generate", lambda *arguments: calls.append(arguments) or masks)
    path = photo(tmp_path / "a.png")
    lines = run(path, "--model", "sam", "--auto", "--auto-points", "7")
    ((_, features, image, settings),) = calls
    assert settings == AutomaticMasks(points=7)
    assert torch.equal(features["image"], models.load("sam").create("tiny", 0).encode([image])["image"])
    labels = np.array(Image.open(tmp_path / "out/a_mask.png"))
    assert labels.dtype == (np.uint16 if count > 255 else np.uint8) and labels.max() == count
    entry = json.loads((tmp_path / "out/a.json").read_text())
    assert entry["automatic"]["points"] == 7
    assert [annotation["id"] for annotation in entry["annotations"]] == [*range(1, count + 1)]
    for annotation, mask in zip(entry["annotations"], masks, strict=True):
        assert np.array_equal(rle.decode(annotation["segmentation"]), mask.mask())
        assert (annotation["predicted_iou"], annotation["stability_score"]) == (mask.iou, 0.97)
        assert annotation["area"] == mask.mask().sum() >= (labels == annotation["id"]).sum()
        assert (labels[mask.mask()] > 0).all()
    if count:
        assert labels[0, 0] == 1 and labels[1, 1] == 2  # the small square is on top of the large one
    assert lines[0].startswith(f"a: {count} masks over {np.mean(labels > 0):.1%}, ")
    assert Image.open(tmp_path / "out/a_overlay.png").size[0] == overlay.SMALLEST


def test_a_support_image_is_a_prompt_as_in_a_run(folder, run, tmp_path):
    path, shown = photo(tmp_path / "a.png"), photo(tmp_path / "shown.jpg", (50, 44), 1)
    mask = np.zeros((50, 44), np.uint8)
    mask[10:30, 5:25] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    arguments = path, "--model", "clipseg", "--support", shown, "--support-mask", tmp_path / "mask.png"
    segmenter = models.load("clipseg").load(folder / "data/checkpoints/clipseg", 1)
    support = Support(image_io.read_image(shown), mask > 0, ("darken", "blur", "crop"), 0.75)
    for words, prompt, name in (
        ((), Prompt.of(support), "object"),
        (("--text", "fire"), Prompt.of(Text("fire"), support), "fire"),
    ):
        assert run(*arguments, *words)[0].startswith(f"a: {name} ")
        assert np.array_equal(np.array(Image.open(tmp_path / "out/a_mask.png")), predicted(segmenter, path, [prompt]))
    assert json.loads((tmp_path / "out/a.json").read_text())["prompts"] == [
        {"target": 1, "text": "fire", "support": 0.75}
    ]
    assert run(*arguments, "--text", "a", "--text", "b") == "with --support give one --text"
    assert run(*arguments[:2], "sam", *arguments[3:]).startswith("sam takes no --support; give --auto or --box")


def test_a_support_mask_must_fit_and_show_something(run, tmp_path):
    path = photo(tmp_path / "a.png")
    for size, message in (((40, 60), "it is black"), ((60, 40), "must be of one size")):
        Image.fromarray(np.zeros(size, np.uint8)).save(tmp_path / "mask.png")
        assert message in run(path, "--model", "clipseg", "--support", path, "--support-mask", tmp_path / "mask.png")


def test_a_cascade_refines_probability_maps_as_its_stage_does(folder, run, tmp_path):
    path = photo(tmp_path / "a.png")
    text = ("--text", "fire", "--text", "a tree", "--threshold", "0.45")
    assert run(path, "--model", "clipseg", "--cascade", "sam", *text)[0].startswith("a: fire ")
    entry = json.loads((tmp_path / "out/a.json").read_text())
    assert entry["model"] == "clipseg" and entry["weights"] == "data/checkpoints/clipseg"
    assert entry["cascade"] == {"model": "sam", "prompt": CascadePrompt().model_dump()}
    clipseg, sam = (models.load(name).load(folder / "data/checkpoints" / name, 2) for name in ("clipseg", "sam"))
    image, phrases = image_io.read_image(path), [Prompt.of(Text("fire")), Prompt.of(Text("a tree"), target=2)]
    maps = prediction.probability_maps(clipseg, clipseg.encode([image]), phrases, (2, 40, 60))
    refining = []
    for target, values in enumerate(records.unpack(records.Prediction("a", records.pack(maps), "[]"), 2), 1):
        probability = values.astype(np.float32) / 256
        refining += component_prompts.component_prompts(probability, CascadePrompt(), target)
    assert refining and len(entry["prompts"]) == 2 + len(refining)
    maps = prediction.probability_maps(sam, sam.encode([image]), refining, (2, 40, 60))
    expected = counts.label_map(records.unpack(records.Prediction("a", records.pack(maps), "[]"), 2), 0.45)
    assert np.array_equal(np.array(Image.open(tmp_path / "out/a_mask.png")), expected)


def test_tiny_weights_are_those_of_the_cascade_too(run, tmp_path, monkeypatch):
    """In a folder without data/checkpoints."""
    path = photo(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    words = ("--model", "clipseg", "--checkpoint", "tiny", "--text", "fire", "--cascade", "sam")
    assert run(path, *words)[0].startswith("a: fire ")


def test_a_fine_tuned_run_starts_a_cascade_as_well(run, tmp_path):
    path = photo(tmp_path / "a.png")
    assert run(path, "--weights", "data/weights/pets", "--cascade", "sam")[0].startswith("a: cat ")
    assert json.loads((tmp_path / "out/a.json").read_text())["weights"] == "data/weights/pets"


def test_folders_stacks_and_all_file_types(run, tmp_path):
    home = tmp_path / "images"
    photo(home / "b10.jpg"), photo(home / "b9.JPG"), photo(home / "deep/er/c.tiff")
    (home / "notes.txt").write_text("none"), photo(home / ".hidden/d.png")
    slices = np.random.default_rng(0).integers(0, 256, (3, 24, 30), np.uint8)
    tifffile.imwrite(home / "stack.tif", slices, photometric="minisblack")
    tifffile.imwrite(home / "one.tif", slices[0])
    lines = run(home, "--model", "clipseg", "--text", "fire")
    names = ["b9", "b10", "deep/er/c", "one", "stack_000", "stack_001", "stack_002"]
    assert [line.partition(":")[0] for line in lines] == names
    assert {name for name in written(tmp_path / "out") if name.endswith(".json")} == {f"{name}.json" for name in names}
    entry = json.loads((tmp_path / "out/stack_002.json").read_text())
    assert entry["image"] == {"file_name": (home / "stack.tif").as_posix(), "height": 24, "width": 30, "slice": 2}


def test_images_of_one_name_do_not_replace_each_others_results(run, tmp_path):
    names = ["a.png", "a.jpg", "sub/a.png"]
    seeds = {name: photo(tmp_path / "images" / name, seed=seed) for seed, name in enumerate(names)}
    lines = run(*seeds.values(), "--model", "clipseg", "--text", "fire")
    shown = ["images/a", "a.jpg", "sub/a"]
    assert [line.partition(":")[0] for line in lines] == shown
    endings = "_mask.png", "_overlay.png", ".json"
    assert written(tmp_path / "out") == sorted(name + ending for name in shown for ending in endings)
    for name, path in zip(shown, seeds.values(), strict=True):
        assert json.loads((tmp_path / f"out/{name}.json").read_text())["image"]["file_name"] == path.as_posix()


def test_results_do_not_replace_images(run, tmp_path):
    paths = photo(tmp_path / "a.png"), photo(tmp_path / "a_mask.png", seed=1)
    before = [path.read_bytes() for path in paths]
    message = run(*paths, "--model", "clipseg", "--text", "fire", out=tmp_path)
    assert message.startswith(f"{paths[1]}: an image, which results of {paths[0]} would replace; give another --out")
    assert [path.read_bytes() for path in paths] == before


def test_help_names_all_results(run, tmp_path):
    shown = " ".join(CliRunner().invoke(main.app, ["segment", "--help"]).stdout.split())
    run(photo(tmp_path / "a.png"), "--model", "clipseg", "--text", "fire")
    assert all(name.replace("a", "NAME", 1) in shown for name in written(tmp_path / "out"))


def test_earlier_results_are_no_input(run, tmp_path):
    photo(tmp_path / "a.png")
    for _ in range(2):
        assert len(run(tmp_path, "--model", "clipseg", "--text", "fire")) == 1


def test_16_bit_images_are_read_with_a_window(run, tmp_path):
    values = np.linspace(0, 4000, 40 * 60).reshape(40, 60).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    arguments = tmp_path / "a.png", "--model", "clipseg", "--text", "fire"
    assert "need a window" in run(*arguments)
    assert len(run(*arguments, "--window", "0,4000")) == 1


def test_a_fine_tuned_run_needs_no_more_than_its_folder(folder, run, tmp_path):
    path = photo(tmp_path / "a.png")
    released = run(path, "--model", "clipseg", "--text", "fire")[0]
    finetuned = run(path, "--weights", "data/weights/fires")[0]  # prompted as it was trained
    assert finetuned.startswith("a: fire ") and finetuned.split()[2] != released.split()[2]
    entry = json.loads((tmp_path / "out/a.json").read_text())
    assert (entry["model"], entry["weights"]) == ("clipseg", "data/weights/fires")
    assert run(path, "--weights", "data/weights/pets")[0].startswith("a: cat ")
    assert run(path, "--weights", "data/weights/fires", "--text", "smoke")[0].startswith("a: smoke ")


def test_the_checkpoint_of_a_run_is_found_by_its_content(folder, run, tmp_path):
    path, place = photo(tmp_path / "a.png"), folder / "data/checkpoints"
    other = models.load("unet").create("tiny", 1)
    (place / "unet").rename(place / "earlier")
    try:
        weights.write(place / "unet", other.configuration(), other.state_dict())
        assert len(run(path, "--weights", "data/weights/pets")) == 1
        wrong = run(path, "--weights", "data/weights/pets", "--checkpoint", place / "unet")
        assert "trained from another checkpoint" in wrong
    finally:
        for file in (place / "unet").iterdir():
            file.unlink()
        (place / "earlier").rename(place / "unet")


def test_class_names_are_text_prompts_of_a_model_that_needs_text(run, tmp_path):
    assert run(photo(tmp_path / "a.png"), "--model", "clipseg", "--classes", "road, car")[0].startswith("a: road ")
    assert [entry["text"] for entry in json.loads((tmp_path / "out/a.json").read_text())["prompts"]] == ["road", "car"]


@pytest.mark.parametrize(
    "name, arguments",
    [("sam", ["--model", "sam", "--box", "0,0,9,9"]), ("unet", ["--weights", "data/weights/pets"])],
)
def test_a_note_says_that_a_checkpoint_is_tiny(name, arguments, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    path = photo(tmp_path / "a.png")
    line = CliRunner().invoke(main.app, ["segment", str(path), *arguments, "--out", str(tmp_path / "out")]).stderr
    assert line.startswith(f"note: data/checkpoints/{name} is the tiny") and line.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["--model", "pointclip", "--text", "chair"],
            "pointclip takes point clouds, and only images can be segmented here",
        ),
        (["--model", "sam", "--text", "fire"], "sam takes no --text; give --auto or --box or --point"),
        (["--model", "clipseg", "--box", "1,2,3,4"], "clipseg takes no --box; give --support or --text"),
        (["--model", "sam"], "sam needs a prompt; give --auto or --box or --point"),
        (["--model", "clipseg"], "clipseg needs a prompt; give --support or --text"),
        (["--model", "unet"], "unet: which classes? give --weights"),
        (["--weights", "data/weights/pets", "--classes", "cat"], "--classes names 1, but there are 2"),
        (["--model", "unet", "--point", "1,2"], "unet takes no --point; give no prompt"),
        (["--text", "fire"], "give --model ("),
        (["--model", "sam3", "--text", "fire"], "unknown model 'sam3'; known: "),
        (["--model", "sam", "--weights", "data/weights/fires"], "--model sam: data/weights/fires is a run of clipseg"),
        (["--weights", "data/weights/none"], "data/weights/none: no fine-tuned run there; `dvc repro finetune@none`"),
        (["--weights", "data/checkpoints/sam"], "data/checkpoints/sam: a checkpoint and no fine-tuned run"),
        (
            ["--model", "sam2", "--box", "1,2,3,4"],
            "facebook/sam2.1-hiera-tiny: cannot be downloaded from the hub (",
        ),
        (
            ["--model", "sam", "--box", "1,2,3,4", "--checkpoint", "data/checkpoints/unet"],
            "a checkpoint of unet, not of sam",
        ),
        (["--model", "sam", "--box", "1,2,3"], "--box '1,2,3': 4 numbers with commas between them are expected"),
        (["--model", "sam", "--point", "1,nan"], "--point '1,nan': 2 numbers"),
        (["--model", "sam", "--box", "1,2,61,4"], "a: the box 1,2,61,4 exceeds the image, which is 60x40"),
        (["--model", "sam", "--box", "-1,2,5,4"], "a: the box -1,2,5,4 exceeds the image"),
        (["--model", "sam", "--box", "5,2,5,4"], "--box 5,2,5,4: empty"),
        (["--model", "sam", "--point", "60,4"], "a: the point 60,4 is outside the image, which is 60x40"),
        (["--model", "sam", "--no-point", "6,4"], "negative points say where the object is not; give"),
        (["--model", "sam", "--point", "6,4", "--box", "1,2,3,4", "--box", "5,6,7,8"], "with --point give one --box"),
        (["--model", "sam", "--point", "60,4", "--box", "1,2,3,4"], "a: the point 60,4 is outside the image"),
        (["--model", "medsam", "--point", "6,4", "--box", "1,2,3,4"], "medsam takes no --point; give --box"),
        (["--model", "pa_sam", "--point", "6,4", "--box", "1,2,3,4"], "pa_sam takes no --box with --point; give --box"),
        (["--model", "sam", "--point", "6,4", "--classes", "a,b"], "--classes names 2, but there is 1"),
        (["--model", "clipseg", "--auto"], "clipseg takes no --auto; give --support or --text"),
        (
            ["--model", "sam", "--auto", "--box", "1,2,3,4"],
            "give one of --auto, --box, --point, --support, --text (only --box and --point, --support and --text go ",
        ),
        (["--model", "sam", "--box", "1,2,3,4", "--auto-points", "9"], "--auto-points belongs to --auto"),
        (["--model", "clipseg", "--support", "a.png"], "--support IMAGE and --support-mask MASK go together"),
        (["--model", "clipseg", "--support-mask", "a.png"], "--support IMAGE and --support-mask MASK go together"),
        (["--model", "clipseg", "--text", "fire", "--box", "1,2,3,4"], "give one of --auto"),
        (["--model", "sam", "--auto-points", "9"], "--auto-points belongs to --auto"),
        (["--model", "sam", "--auto", "--auto-points", "0"], "--auto-points 0: at least 1"),
        (
            ["--model", "clipseg", "--text", "fire", "--cascade", "unet"],
            "--cascade unet: it takes no points, boxes and",
        ),
        (["--model", "clipseg", "--text", "fire", "--cascade", "sam3"], "unknown model 'sam3'; known: "),
        (["--model", "sam", "--auto", "--cascade", "sam"], "--cascade sam: automatic masks have no probability maps"),
        (
            ["--model", "clipseg", "--text", "fire", "--cascade", "sam2"],
            "facebook/sam2.1-hiera-tiny: cannot be downloaded from the hub (",
        ),
        (["--model", "clipseg", "--text", " "], "--text: an empty phrase"),
        (["--model", "clipseg", "--classes", "a,,b"], "--classes 'a,,b': names with commas"),
        (["--model", "clipseg", "--text", "fire", "--threshold", "1"], "--threshold 1: a number between 0 and 1"),
        (["--model", "clipseg", "--text", "fire", "--window", "9,9"], "--window '9,9': LOW,HIGH is expected"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(arguments, message, run, tmp_path):
    assert message in run(photo(tmp_path / "a.png"), *arguments)
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_images(run, tmp_path):
    arguments = "--model", "clipseg", "--text", "fire"
    assert run(tmp_path / "no.png", *arguments) == f"{tmp_path / 'no.png'}: not found"
    (tmp_path / "empty").mkdir()
    assert "no PNG, JPEG or TIFF image in this folder" in run(tmp_path / "empty", *arguments)
    for name in ("page.png", "page.tif"):
        (tmp_path / name).write_text("<html>")
        assert run(tmp_path / name, *arguments).startswith(f"{tmp_path / name}: not a PNG, JPEG or TIFF image")
    photo(tmp_path / "images/b.png")
    assert "images: the folder of the results" in run(tmp_path / "images", *arguments, out=tmp_path)
    assert "too narrow for sam" in run(photo(tmp_path / "line.png", (1, 900)), "--model", "sam", "--point", "3,0")


# --- weights that are not in data/checkpoints


def test_released_weights_are_the_built_in_ones_or_those_of_a_folder(run, tmp_path, image):
    assert "object" in run(image, "--model", "sam2", "--checkpoint", "tiny", "--box", "10,10,50,50")[0]
    assert run(image, "--model", "sam2", "--checkpoint", tmp_path / "none", "--box", "10,10,50,50").startswith(
        f"sam2: nothing at '{tmp_path / 'none'}'"
    )


def test_a_folder_of_the_hub_is_read(run, tmp_path, image):
    network = models.load("sam").create("tiny", 0).network
    network.save_pretrained(tmp_path / "hub")
    lines = run(image, "--model", "sam", "--checkpoint", tmp_path / "hub", "--box", "10,10,50,50")
    assert "object" in lines[0]
    about = json.loads((tmp_path / "out" / f"{image.stem}.json").read_text())
    assert about["weights"] == str(tmp_path / "hub")


# --- images that cannot be read


def test_one_unreadable_image_does_not_keep_the_others(run, tmp_path, image):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "c.png"):
        (folder / name).write_bytes(image.read_bytes())
    (folder / "b.png").write_bytes(image.read_bytes()[:60])
    tifffile.imwrite(folder / "d.tif", np.zeros((2, 64, 72), np.uint16), photometric="minisblack")
    message = run(folder, "--model", "sam", "--box", "10,10,50,50")
    assert message == "2 of 4 images not segmented; they are listed above"
    assert sorted(path.name for path in (tmp_path / "out").glob("*_mask.png")) == ["a_mask.png", "c_mask.png"]
    arguments = ["segment", str(folder), "--model", "sam", "--box", "10,10,50,50", "--out", str(tmp_path / "out")]
    listed = CliRunner().invoke(main.app, arguments).stderr.splitlines()[-2:]
    assert [line.split(": ")[1] for line in listed] == [str(folder / "b.png"), str(folder / "d.tif")]
