"""`promptseg.load(...).segment(...)`: the results of the stages, for files, arrays and Pillow's images alike."""

import subprocess
import sys

import numpy as np
import promptseg
import pytest
from PIL import Image
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.download import checkpoints
from promptseg.inference import prediction
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points


@pytest.fixture(scope="module")
def sam():
    return promptseg.load("sam", source="tiny")


@pytest.fixture
def image():
    y, x = np.mgrid[:96, :128]
    disc = (x - 60) ** 2 + (y - 40) ** 2 < 400
    return np.where(disc[..., None], [200, 60, 40], [20, 90, 60]).astype(np.uint8)


def test_a_point_gives_mask_probability_and_score(sam, image):
    result = sam.segment(image, points=[[60, 40]], negative_points=[[5, 5]])
    assert result.mask.shape == (96, 128) and result.mask.dtype == np.uint8 and set(np.unique(result.mask)) <= {0, 1}
    assert result.probability.shape == (1, 96, 128) and result.classes == ["object"]
    assert np.array_equal(result.mask == 1, result.probability[0] >= 0.5)
    assert result.score == pytest.approx(result.probability[0][result.mask == 1].mean())
    prompt = Prompt.of(Points(np.array([[60.0, 40.0], [5.0, 5.0]]), np.array([1, 0])))
    features = sam.segmenter.encode([image])
    expected = prediction.probability_maps(sam.segmenter, features, [prompt], (1, 96, 128))
    assert np.array_equal(result.probability, expected)


@pytest.mark.parametrize("name", ["sam", "sam2"])
@pytest.mark.parametrize("points, negative", [([[60, 40]], [[5, 5]]), ([[60, 40], [62, 30]], []), ([], [[70, 55]])])
def test_points_and_a_box_are_one_prompt(name, points, negative, image):
    model = promptseg.load(name, source="tiny")
    result = model.segment(image, points=points, negative_points=negative, box=[40, 20, 80, 60])
    labels = np.array([1] * len(points) + [0] * len(negative))
    prompt = Prompt.of(Points(np.array([*points, *negative], float), labels), Box(np.array([40.0, 20, 80, 60])))
    features = model.segmenter.encode([image])
    expected = prediction.probability_maps(model.segmenter, features, [prompt], (1, 96, 128))
    assert np.array_equal(result.probability, expected) and result.classes == ["object"]
    assert not np.array_equal(result.probability, model.segment(image, box=[40, 20, 80, 60]).probability)


def test_files_arrays_and_images_of_pillow_are_alike(sam, image, tmp_path):
    Image.fromarray(image).save(tmp_path / "a.png")
    boxes = [[40, 20, 80, 60], [90, 60, 120, 90]]
    expected = sam.segment(image, box=boxes).probability
    for given in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(image)):
        assert np.array_equal(sam.segment(given, box=boxes).probability, expected)
    single = [sam.segment(image, box=box).probability for box in boxes]
    np.testing.assert_allclose(expected, np.maximum(*single), atol=1e-5)


def test_a_phrase_is_a_class(image):
    model = promptseg.load("clipseg", source="tiny")
    result = model.segment(image, text=["red circle", "green"], threshold=0.01)
    assert result.classes == ["red circle", "green"] and result.probability.shape == (2, 96, 128)
    one = model.segment(image, text="red circle")
    np.testing.assert_allclose(one.probability[0], result.probability[0], atol=1e-5)


def test_a_checkpoint_and_a_fine_tuned_run_are_loaded_from_their_folders(tmp_path, sam, image):
    folder = tmp_path / "sam"
    checkpoints.obtain("sam", params.Model(source="tiny"), params.Scale(), 0, folder)
    model = promptseg.load("sam", source=folder)
    expected = sam.segment(image, points=[[60, 40]]).probability
    assert np.array_equal(model.segment(image, points=[[60, 40]]).probability, expected)
    with pytest.raises(UserError, match="a checkpoint of sam, not of clipseg"):
        promptseg.load("clipseg", source=folder)
    with pytest.raises(UserError, match="nowhere"):
        promptseg.load(finetuned=tmp_path / "nowhere")


@pytest.mark.parametrize(
    "prompt, message",
    [
        ({"text": "a cat"}, "sam takes .*; given: text"),
        ({}, "given: no prompt"),
        ({"points": [[1, 1]], "box": [0, 0, 5, 5], "text": "a cat"}, "given: box and points and text"),
        ({"points": [[1, 1]], "box": [[0, 0, 5, 5], [1, 1, 9, 9]]}, "with points give one"),
        ({"points": [[1, 1, 1]]}, "points: rows of 2 numbers are expected"),
        ({"box": "0,0,5,9"}, "box: rows of 4 numbers are expected"),
        ({"box": [0, 0, 5]}, "box: rows of 4 numbers are expected"),
        ({"box": [5, 0, 5, 9]}, "image: the box 5,0,5,9: empty"),
        ({"box": [0, 0, float("nan"), 9]}, "image: the box 0,0,nan,9: empty"),
        ({"box": [0, 0, 129, 9]}, "image: the box 0,0,129,9 exceeds the image, which is 128x96"),
        ({"negative_points": [[1, 1]]}, "give a point on it or a box"),
        ({"points": [[128, 5]]}, "outside the image"),
        ({"points": [[1, 1]], "threshold": 1.0}, "threshold 1: a number between"),
    ],
)
def test_wrong_prompts_are_one_line(sam, image, prompt, message):
    with pytest.raises(UserError, match=message):
        sam.segment(image, **prompt)


def test_a_message_names_the_file_of_the_image(sam, image, tmp_path):
    Image.fromarray(image).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=f"^{tmp_path}/a.png: the point 128,5 is outside"):
        sam.segment(tmp_path / "a.png", points=[[128, 5]])


@pytest.mark.parametrize("name", ["medsam", "pa_sam"])
def test_models_that_take_points_and_a_box_apart_refuse_them_together(name, image):
    with pytest.raises(UserError, match=f"{name} takes .*; given: box and points"):
        promptseg.load(name, source="tiny").segment(image, points=[[60, 40]], box=[40, 20, 80, 60])


@pytest.mark.parametrize("shape, kind", [((5, 5, 4), np.uint8), ((5, 5), np.float32), ((5,), np.uint8)])
def test_wrong_arrays_are_one_line(sam, shape, kind):
    with pytest.raises(UserError, match="uint8 is expected"):
        sam.segment(np.zeros(shape, kind), points=[[1, 1]])


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="unknown model 'sum'; known: "):
        promptseg.load("sum")
    with pytest.raises(UserError, match="which model"):
        promptseg.load()
    with pytest.raises(UserError, match="sam: nothing at 'nowhere'"):
        promptseg.load("sam", source="nowhere")
    with pytest.raises(AttributeError):
        promptseg.loads  # noqa: B018


def test_importing_the_package_does_not_import_torch(root):
    code = "import sys, promptseg; assert 'torch' not in sys.modules; assert callable(promptseg.load)"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(root / "stages")}, check=True, timeout=60)


def test_a_model_without_prompts_takes_the_names_of_its_classes(image):
    model = promptseg.load("unet", source="tiny", classes=["leaf", "spot"])
    result = model.segment(image)
    assert result.classes == ["leaf", "spot"] and result.probability.shape == (2, 96, 128)
    with pytest.raises(UserError, match="^unet: which classes\\? give `classes`, or load a fine-tuned run$"):
        promptseg.load("unet", source="tiny").segment(image)
