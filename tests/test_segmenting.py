"""`promptseg segment`: what it reads, what it writes, and that every mistake is one line before or at its picture."""

import json

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from promptseg import models
from promptseg.cli import load_model, main, open_images, overlay, prompt_options
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import generated_masks, image_io, records, rle
from promptseg.evaluation import scores
from promptseg.inference import automatic_masks, prediction
from promptseg.nn import finetuned_weights, weights
from promptseg.prompts import Prompt, SupportExample
from promptseg.report import canvas
from typer.testing import CliRunner

MODELS = ("sam", "clipseg", "unet", "cascade_sam")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project with tiny checkpoints, a fine-tuned run of clipseg, and one of unet with two classes."""
    home = tmp_path_factory.mktemp("project")
    for name in MODELS:
        model = models.load(name).create("tiny", 0)
        weights.write(home / "data/checkpoints" / name, model.configuration(), model.state_dict(), model.files())
    for run, name, learns, about in (
        ("fires", "clipseg", "network.decoder.", {"train": {"prompt": {"text": ["fire"]}}, "classes": ["blaze"]}),
        ("pets", "unet", "network.", {"train": {}, "classes": ["cat", "dog"]}),
    ):
        place = home / "data/checkpoints" / name
        model = models.load(name).load(place, len(about["classes"]))
        learned = [key for key, _ in model.named_parameters() if key.startswith(learns)]
        torch.manual_seed(1)
        with torch.no_grad():
            for key in learned:
                model.get_parameter(key).add_(0.05 * torch.randn_like(model.get_parameter(key)))
        tensors = {name: model.state_dict()[name] for name in learned}
        finetuned_weights.write(home / "data/weights" / run, tensors, model.NAME, weights.digest(place), about)
    return home


@pytest.fixture
def run(folder, tmp_path, monkeypatch):
    """Runs the command in the project, results to `tmp_path/out`; gives its lines, or the message of its UserError."""
    monkeypatch.chdir(folder)

    def call(*arguments) -> list[str] | str:
        arguments = [str(each) for each in arguments]
        result = CliRunner().invoke(main.app, ["segment", *arguments, "--out", str(tmp_path / "out")])
        if isinstance(result.exception, UserError):
            message = str(result.exception)
            assert len(message.splitlines()) == 1 and message.isprintable()
            return message
        if result.exception:
            raise result.exception
        return result.stdout.splitlines()

    return call


def photo(path, size=(40, 60), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[0] // 4 + 1, size[1] // 4 + 1, 3), np.uint8)
    picture = Image.fromarray(cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC))
    picture.save(path)
    return path


def written(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_a_mask_an_overlay_and_run_lengths_that_agree(run, tmp_path):
    path = photo(tmp_path / "a.png")
    lines = run(path, "--model", "clipseg", "--text", "fire", "--text", "a tree", "--threshold", "0.45")
    assert written(tmp_path / "out") == ["a.json", "a_mask.png", "a_overlay.png"]
    mask = np.array(Image.open(tmp_path / "out/a_mask.png"))
    assert mask.shape == (40, 60) and mask.dtype == np.uint8 and mask.max() <= 2 and mask.any()
    about = json.loads((tmp_path / "out/a.json").read_text())
    assert about["image"] == {"file_name": path.as_posix(), "height": 40, "width": 60}
    assert (about["model"], about["threshold"]) == ("clipseg", 0.45)
    assert about["prompts"] == [{"target": 1, "text": "fire"}, {"target": 2, "text": "a tree"}]
    for label, found in enumerate(about["annotations"], 1):
        assert found["category_id"] == label and found["area"] == np.count_nonzero(mask == label)
        assert np.array_equal(
            rle.decode(rle.decompress(found["segmentation"]["counts"]), *found["segmentation"]["size"]), mask == label
        )
        if found["area"]:
            y, x = np.nonzero(mask == label)
            assert found["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
    shares = ", ".join(f"{name} {np.mean(mask == label):.1%}" for label, name in enumerate(("fire", "a tree"), 1))
    assert len(lines) == 1 and lines[0].startswith(f"a: {shares}, ") and lines[0].endswith(" s")
    assert Image.open(tmp_path / "out/a_overlay.png").size[0] == overlay.SMALLEST


def test_the_mask_is_the_one_that_a_run_would_be_scored_by(folder, run, tmp_path):
    path = photo(tmp_path / "a.png", (57, 43))
    run(path, "--model", "sam", "--box", "5,6,30,40.5", "--box", "20,1,43,57", "--threshold", "0.5")
    segmenter, image = models.load("sam").load(folder / "data/checkpoints/sam", 1), image_io.read_image(path)
    asked = [Prompt(1, box=np.array([5, 6, 30, 40.5])), Prompt(1, box=np.array([20.0, 1, 43, 57]))]
    found = prediction.probabilities(segmenter, segmenter.encode([image]), asked, 1, 57, 43)
    kept = records.unpack(records.Prediction("a", records.pack(found), "[]"), 1)
    assert np.array_equal(np.array(Image.open(tmp_path / "out/a_mask.png")), scores.predicted(kept))


def test_points_on_and_off_are_one_question(run, tmp_path):
    run(photo(tmp_path / "a.png"), "--model", "sam", "--point", "30,20", "--point", "10,12.5", "--no-point", "59,0")
    about = json.loads((tmp_path / "out/a.json").read_text())
    assert about["prompts"] == [{"target": 1, "points": [[30, 20], [10, 12.5], [59, 0]], "labels": [1, 1, 0]}]
    assert about["annotations"][0]["category"] == "object"


def square(size, left, top, side, iou):
    mask = np.zeros(size, bool)
    mask[top : top + side, left : left + side] = True
    box = left, top, left + side - 1, top + side - 1
    return generated_masks.Segment(rle.encode(mask), size, box, iou, 0.97, (left + 0.5, top + 0.5), (0, 0, *size[::-1]))


@pytest.mark.parametrize("count", [0, 3, 300])
def test_all_masks_are_numbered_and_smaller_ones_lie_on_top(count, folder, run, tmp_path, monkeypatch):
    given = [square((40, 60), 2 * (i % 30), 2 * (i // 30 % 20), 1, 0.95) for i in range(count)]
    if count:
        given[1] = square((40, 60), 0, 0, 20, 0.99)
    calls = []
    monkeypatch.setattr(automatic_masks, "segments", lambda *arguments: calls.append(arguments) or given)
    path = photo(tmp_path / "a.png")
    lines = run(path, "--model", "sam", "--auto", "--auto-points", "7")
    ((_, features, image, settings),) = calls
    assert settings == params.Automatic(points=7)
    assert torch.equal(features["image"], models.load("sam").create("tiny", 0).encode([image])["image"])
    labels = np.array(Image.open(tmp_path / "out/a_mask.png"))
    assert labels.dtype == (np.uint16 if count > 255 else np.uint8) and labels.max() == count
    about = json.loads((tmp_path / "out/a.json").read_text())
    assert about["automatic"]["points"] == 7 and [each["id"] for each in about["annotations"]] == [*range(1, count + 1)]
    for each, one in zip(about["annotations"], given):
        assert np.array_equal(rle.decode(rle.decompress(each["segmentation"]["counts"]), 40, 60), one.mask())
        assert (each["predicted_iou"], each["stability_score"], each["area"]) == (one.iou, 0.97, one.mask().sum())
        assert (labels == each["id"]).sum() <= each["area"] and (labels[one.mask()] > 0).all()
    if count:
        assert labels[0, 0] == 1 and labels[1, 1] == 2  # the small square lies on the large one
    assert lines[0].startswith(f"a: {count} masks over {np.mean(labels > 0):.1%}, ")
    assert Image.open(tmp_path / "out/a_overlay.png").size[0] == overlay.SMALLEST


def test_an_example_is_asked_as_a_run_would_ask(folder, run, tmp_path):
    path, shown = photo(tmp_path / "a.png"), photo(tmp_path / "shown.jpg", (50, 44), 1)
    mask = np.zeros((50, 44), np.uint8)
    mask[10:30, 5:25] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    ask = path, "--model", "clipseg", "--support", shown, "--support-mask", tmp_path / "mask.png"
    segmenter, image = models.load("clipseg").load(folder / "data/checkpoints/clipseg", 1), image_io.read_image(path)
    example = SupportExample(image_io.read_image(shown), mask > 0, ("darken", "blur", "crop"))
    for words, prompt, name in (
        ((), Prompt(example=example), "object"),
        (("--text", "fire"), Prompt(text="fire", example=example, mix=0.75), "fire"),
    ):
        assert run(*ask, *words)[0].startswith(f"a: {name} ")
        found = prediction.probabilities(segmenter, segmenter.encode([image]), [prompt], 1, 40, 60)
        kept = records.unpack(records.Prediction("a", records.pack(found), "[]"), 1)
        assert np.array_equal(np.array(Image.open(tmp_path / "out/a_mask.png")), scores.predicted(kept))
    assert json.loads((tmp_path / "out/a.json").read_text())["prompts"] == [
        {"target": 1, "text": "fire", "support": 0.75}
    ]
    assert "--support shows one thing; give one --text with it" in run(*ask, "--text", "a", "--text", "b")
    assert run(*ask[:2], "sam", *ask[3:]).startswith("sam takes no --support; give --box")


def test_an_example_s_mask_must_fit_and_show_something(run, tmp_path):
    path = photo(tmp_path / "a.png")
    for size, message in (((40, 60), "it is black"), ((60, 40), "must be of one size")):
        Image.fromarray(np.zeros(size, np.uint8)).save(tmp_path / "mask.png")
        assert message in run(path, "--model", "clipseg", "--support", path, "--support-mask", tmp_path / "mask.png")


def test_a_cascade_is_asked_in_words(run, tmp_path):
    assert run(photo(tmp_path / "a.png"), "--model", "cascade_sam", "--text", "fire")[0].startswith("a: fire ")
    assert json.loads((tmp_path / "out/a.json").read_text())["model"] == "cascade_sam"


def test_folders_stacks_and_every_kind_of_file(run, tmp_path):
    home = tmp_path / "pictures"
    photo(home / "b10.jpg"), photo(home / "b9.JPG"), photo(home / "deep/er/c.tiff")
    (home / "notes.txt").write_text("none"), photo(home / ".hidden/d.png")
    slices = np.random.default_rng(0).integers(0, 256, (3, 24, 30), np.uint8)
    tifffile.imwrite(home / "stack.tif", slices, photometric="minisblack")
    tifffile.imwrite(home / "one.tif", slices[0])
    lines = run(home, "--model", "clipseg", "--text", "fire")
    names = ["b9", "b10", "deep/er/c", "one", "stack_000", "stack_001", "stack_002"]
    assert [line.partition(":")[0] for line in lines] == names
    assert {name for name in written(tmp_path / "out") if name.endswith(".json")} == {f"{name}.json" for name in names}
    about = json.loads((tmp_path / "out/stack_002.json").read_text())
    assert about["image"] == {"file_name": (home / "stack.tif").as_posix(), "height": 24, "width": 30, "slice": 2}


def test_what_was_written_before_is_no_input(run, tmp_path):
    photo(tmp_path / "a.png")
    for _ in range(2):
        assert len(run(tmp_path, "--model", "clipseg", "--text", "fire")) == 1


def test_slices_behind_one_header_are_slices(tmp_path):
    """ImageJ's way to write stacks above 4 GB: one page, and a description that says how many slices follow."""
    slices = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)
    tifffile.imwrite(tmp_path / "s.tif", slices, imagej=True)
    tifffile.imwrite(
        tmp_path / "shaped.tif", slices, metadata={"axes": "ZYX"}, photometric="minisblack", contiguous=True
    )
    for name in ("s", "shaped"):
        found = list(open_images.pictures([tmp_path / f"{name}.tif"], None, tmp_path / "out"))
        assert [each.name for each in found] == [f"{name}_{i:03d}" for i in range(4)]
        assert all(np.array_equal(each.read(), each_slice) for each, each_slice in zip(found, slices))


def test_a_window_opens_16_bit_pictures(run, tmp_path):
    values = np.linspace(0, 4000, 40 * 60).reshape(40, 60).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    ask = tmp_path / "a.png", "--model", "clipseg", "--text", "fire"
    assert "need a window" in run(*ask)
    assert len(run(*ask, "--window", "0,4000")) == 1
    (found,) = open_images.pictures([tmp_path / "a.png"], (0, 4000), tmp_path / "out")
    assert found.read().min() == 0 and found.read().max() == 255


def test_a_fine_tuned_run_needs_no_more_than_its_folder(folder, run, tmp_path):
    path = photo(tmp_path / "a.png")
    asked = run(path, "--model", "clipseg", "--text", "fire")[0]
    trained = run(path, "--weights", "data/weights/fires")[0]  # asked as it was trained
    assert trained.startswith("a: fire ") and trained.split()[2] != asked.split()[2]
    about = json.loads((tmp_path / "out/a.json").read_text())
    assert (about["model"], about["weights"]) == ("clipseg", "data/weights/fires")
    assert run(path, "--weights", "data/weights/pets")[0].startswith("a: cat ")
    assert run(path, "--weights", "data/weights/fires", "--text", "smoke")[0].startswith("a: smoke ")


def test_a_run_s_checkpoint_is_found_by_what_is_in_it(folder, run, tmp_path):
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


def test_a_model_of_words_takes_the_names_of_classes(run, tmp_path):
    assert run(photo(tmp_path / "a.png"), "--model", "clipseg", "--classes", "road, car")[0].startswith("a: road ")
    assert [entry["text"] for entry in json.loads((tmp_path / "out/a.json").read_text())["prompts"]] == ["road", "car"]


def test_of_a_tiny_checkpoint_one_is_told(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for name, trained in (("sam", None), ("unet", folder / "data/weights/pets")):
        question = prompt_options.Question(boxes=((0, 0, 9, 9),) if name == "sam" else ())
        load_model.choose(question, name, trained, None, [])
        line = capsys.readouterr().err
        assert line.startswith(f"note: data/checkpoints/{name} is the tiny") and line.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["--model", "pointclip", "--text", "chair"],
            "pointclip takes clouds, and what is segmented here are pictures",
        ),
        (["--model", "sam", "--text", "fire"], "sam takes no --text; give --box X0,Y0,X1,Y1 or --point X,Y"),
        (["--model", "clipseg", "--box", "1,2,3,4"], "clipseg takes no --box; give --text WORDS"),
        (["--model", "sam"], "sam cannot do without a prompt; give --box"),
        (["--model", "clipseg"], "clipseg cannot do without a prompt; give --text WORDS"),
        (["--model", "unet"], "unet: which classes? give --weights"),
        (["--weights", "data/weights/pets", "--classes", "cat"], "--classes names 1, but 2 are asked for"),
        (["--model", "unet", "--point", "1,2"], "unet takes no --point; give no prompt at all"),
        (["--text", "fire"], "give --model ("),
        (["--model", "sam3", "--text", "fire"], "unknown model 'sam3'; known: "),
        (["--model", "sam", "--weights", "data/weights/fires"], "--model sam: data/weights/fires is a run of clipseg"),
        (["--weights", "data/weights/none"], "data/weights/none: no fine-tuned run there; `dvc repro finetune@none`"),
        (["--weights", "data/checkpoints/sam"], "data/checkpoints/sam: a checkpoint, and no fine-tuned run"),
        (
            ["--model", "sam2", "--box", "1,2,3,4"],
            "data/checkpoints/sam2: no checkpoint there; `dvc repro checkpoint@sam2`",
        ),
        (
            ["--model", "sam", "--box", "1,2,3,4", "--checkpoint", "data/checkpoints/unet"],
            "a checkpoint of unet, not of sam",
        ),
        (["--model", "sam", "--box", "1,2,3"], "--box '1,2,3': 4 numbers with commas between them are expected"),
        (["--model", "sam", "--point", "1,nan"], "--point '1,nan': 2 numbers"),
        (["--model", "sam", "--box", "1,2,61,4"], "a: --box 1,2,61,4 reaches out of the picture, which is 60x40"),
        (["--model", "sam", "--box", "-1,2,5,4"], "a: --box -1,2,5,4 reaches out"),
        (["--model", "sam", "--box", "5,2,5,4"], "--box 5,2,5,4: it is empty"),
        (["--model", "sam", "--point", "60,4"], "a: the point 60,4 lies outside the picture, which is 60x40"),
        (["--model", "sam", "--no-point", "6,4"], "--no-point says where the object is not; give a --point"),
        (["--model", "sam", "--point", "6,4", "--box", "1,2,3,4"], "give one of --text, --box, --point and --auto"),
        (["--model", "sam", "--point", "6,4", "--classes", "a,b"], "--classes names 2, but 1 is asked for"),
        (["--model", "clipseg", "--auto"], "clipseg takes no --auto; give --text WORDS or --support PICTURE"),
        (["--model", "sam", "--auto", "--box", "1,2,3,4"], "give one of --text, --box, --point and --auto"),
        (["--model", "sam", "--box", "1,2,3,4", "--auto-points", "9"], "--auto-points belongs to --auto"),
        (["--model", "clipseg", "--support", "a.png"], "--support PICTURE and --support-mask MASK go together"),
        (["--model", "clipseg", "--text", " "], "--text: an empty phrase"),
        (["--model", "clipseg", "--classes", "a,,b"], "--classes 'a,,b': names with commas"),
        (["--model", "clipseg", "--text", "fire", "--threshold", "1"], "--threshold 1: it should lie between 0 and 1"),
        (["--model", "clipseg", "--text", "fire", "--window", "9,9"], "--window '9,9': LOW,HIGH are expected"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(arguments, message, run, tmp_path):
    assert message in run(photo(tmp_path / "a.png"), *arguments)
    assert not (tmp_path / "out").exists()


def test_pictures_that_are_none(run, tmp_path):
    ask = "--model", "clipseg", "--text", "fire"
    assert run(tmp_path / "no.png", *ask) == f"{tmp_path / 'no.png'}: not found"
    (tmp_path / "empty").mkdir()
    assert "no PNG, JPEG or TIFF picture in this folder" in run(tmp_path / "empty", *ask)
    for name in ("page.png", "page.tif"):
        (tmp_path / name).write_text("<html>")
        assert run(tmp_path / name, *ask).startswith(f"{tmp_path / name}: no PNG, JPEG or TIFF picture")
    twins = photo(tmp_path / "x/a.png"), photo(tmp_path / "y/a.jpg")
    assert "would have the name of those of" in run(*twins, *ask)
    assert "too narrow for sam" in run(photo(tmp_path / "line.png", (1, 900)), "--model", "sam", "--point", "3,0")


def test_an_overlay_shows_each_class_the_prompts_and_leaves_the_rest_gray():
    image = np.full((300, 400), 120, np.uint8)
    mask = np.zeros((300, 400), np.uint8)
    mask[50:150, 50:150], mask[200:280, 300:380] = 1, 2
    asked = [
        Prompt(1, box=np.array([40.0, 40, 160, 160])),
        Prompt(2, points=np.array([[340.0, 240]]), labels=np.ones(1)),
    ]
    view = overlay.overlay(image, mask, ["cat", "dog"], asked)
    assert view.shape[1] == overlay.SMALLEST and view.shape[0] > 480 and view.dtype == np.uint8
    scale = overlay.SMALLEST / 400
    for place, color in (((100, 100), 0), ((290, 310), 1)):
        y, x = (int(scale * each) for each in (place if color == 0 else (210, 315)))
        toward = canvas.class_colors(2)[color].astype(int) - 120
        assert (np.sign(view[y, x].astype(int) - 120) == np.sign(toward)).all()
    background = view[int(scale * 20), int(scale * 250)]
    assert (background == background[0]).all() and 60 < background[0] < 120
    assert tuple(view[int(scale * 40), int(scale * 100)]) == canvas.WHITE  # the box
    assert tuple(view[int(scale * 240), int(scale * 340)]) == canvas.GREEN  # the point


@pytest.mark.parametrize("size", [(1, 1), (5, 900), (900, 5), (256, 256), (2000, 1700)])
def test_overlays_of_all_sizes(size):
    mask = np.ones(size, np.uint8)
    view = overlay.overlay(np.zeros((*size, 3), np.uint8), mask, ["all"], [])
    assert max(view.shape[:2]) <= overlay.LARGEST + canvas.LINE * 4 and view.shape[2] == 3
