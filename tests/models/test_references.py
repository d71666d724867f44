"""Models against the official code and transformers' processors and forward passes, on the same seeded weights."""

import numpy as np
import pytest
import torch
from original_sam import original
from PIL import Image
from promptseg import models
from promptseg.inference import prediction
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points
from promptseg.prompts.text import Text
from segment_anything import SamPredictor

IMAGE = np.kron(np.random.default_rng(3).integers(0, 256, (15, 20, 3), np.uint8), np.ones((10, 10, 1), np.uint8))
HEIGHT, WIDTH = IMAGE.shape[:2]
POINT, BOX = [70.5, 60.5], [30.0, 20.0, 150.0, 110.0]
COMBINED = {  # points and their labels, beside a box
    "a point": ([POINT], [1]),
    "a negative point": ([[40.5, 100.5]], [0]),
    "points of both kinds": ([POINT, [130.5, 30.5], [40.5, 100.5]], [1, 1, 0]),
}


def prompt_of(kind: str) -> Prompt:
    return Prompt.of(Points(np.array([POINT]), np.array([1])) if kind == "points" else Box(np.array(BOX)))


def predict(name: str, prompt: Prompt) -> tuple[torch.nn.Module, np.ndarray]:
    """A tiny model and its probability map (h, w)."""
    model = models.load(name).create("tiny", 4)
    with torch.no_grad():
        maps = prediction.probability_maps(model, model.encode([IMAGE]), [prompt], (1, HEIGHT, WIDTH))
    return model, maps[0]


@pytest.mark.parametrize("kind", ["points", "box"])
def test_sam_equals_its_processor_and_model(kind):
    from transformers import SamImageProcessor, SamProcessor

    model, probability = predict("sam", prompt_of(kind))
    size = model.transform.size
    processor = SamProcessor(
        SamImageProcessor(
            size={"longest_edge": size}, pad_size={"height": size, "width": size},
            mask_size={"longest_edge": size // 2}, mask_pad_size={"height": size // 2, "width": size // 2},
        )
    )  # fmt: skip
    processor.target_size = size
    given = {"input_points": [[POINT]]} if kind == "points" else {"input_boxes": [[BOX]]}
    inputs = processor(Image.fromarray(IMAGE), return_tensors="pt", **given)
    with torch.no_grad():
        out = model.network(**inputs, multimask_output=kind == "points")
    best = int(out.iou_scores[0, 0].argmax())
    logits = processor.image_processor.post_process_masks(
        out.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"], binarize=False,
        pad_size={"height": size, "width": size},
    )[0][0, best]  # fmt: skip
    expected = torch.sigmoid(torch.as_tensor(logits)).numpy()
    # Pillow's and torchvision's resizing differ by a gray level here and there.
    np.testing.assert_allclose(probability, expected, atol=2e-3 * max(expected.std(), 1e-4) + 1e-6)


@pytest.mark.parametrize("kind", ["points", "box"])
def test_sam2_equals_its_processor_and_model(kind):
    from transformers import Sam2ImageProcessor, Sam2Processor

    model, probability = predict("sam2", prompt_of(kind))
    size = model.transform.size
    processor = Sam2Processor(Sam2ImageProcessor(size={"height": size, "width": size}), target_size=size)
    given = {"input_points": [[[POINT]]], "input_labels": [[[1]]]} if kind == "points" else {"input_boxes": [[BOX]]}
    inputs = processor(Image.fromarray(IMAGE), return_tensors="pt", **given)
    original = inputs.pop("original_sizes")
    with torch.no_grad():
        out = model.network(**inputs, multimask_output=kind == "points")
    best = int(out.iou_scores[0, 0].argmax())
    logits = processor.post_process_masks(out.pred_masks, original, binarize=False)[0][0, best]
    expected = torch.sigmoid(torch.as_tensor(logits)).numpy()
    np.testing.assert_allclose(probability, expected, atol=2e-3 * max(expected.std(), 1e-4) + 1e-6)


def decode(model: torch.nn.Module, prompt: Prompt) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits over the model's input, and over the image."""
    logits = model.decode(model.encode([IMAGE]), [[prompt.to_model(model.transform, HEIGHT, WIDTH)]])[0]
    return logits, model.transform.to_image(logits, HEIGHT, WIDTH)


@torch.no_grad()
def with_contrast(name: str) -> torch.nn.Module:
    """A tiny model whose random mask decoder depends on its prompts, with logits of a standard deviation of about 1."""
    model = models.load(name).create("tiny", 4)
    decoder = model.network.mask_decoder
    for key, parameter in decoder.transformer.named_parameters():
        if key.endswith("weight") and parameter.ndim > 1:
            parameter *= 8.0
    gain = 1 / decode(model, prompt_of("box"))[0].std()
    for head in decoder.output_hypernetworks_mlps:
        head.proj_out.weight *= gain
        head.proj_out.bias *= gain
    return model


@pytest.fixture(scope="module")
def sam_and_predictor():
    """A tiny SAM, and segment_anything's SamPredictor with the same weights."""
    model = with_contrast("sam")
    predictor = SamPredictor(original(model))
    predictor.set_image(IMAGE)
    return model, predictor


@torch.no_grad()
@pytest.mark.parametrize("points, labels", COMBINED.values(), ids=COMBINED)
def test_sam_takes_points_and_a_box_together_as_the_official_predictor_does(sam_and_predictor, points, labels):
    model, predictor = sam_and_predictor
    points, labels, box = np.array(points), np.array(labels), np.array(BOX)
    expected, _, expected_low = predictor.predict(points, labels, box, multimask_output=False, return_logits=True)
    low, logits = decode(model, Prompt.of(Points(points, labels), Box(box)))
    assert expected_low.std() > 0.2 and expected.shape == (1, HEIGHT, WIDTH)
    np.testing.assert_allclose(low, expected_low, atol=1e-4)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    for alone in (Points(points, labels), Box(box)):  # each part counts
        assert np.abs(decode(model, Prompt.of(alone))[0].numpy() - expected_low).max() > 0.01


@torch.no_grad()
@pytest.mark.parametrize("points, labels", COMBINED.values(), ids=COMBINED)
def test_sam2_takes_points_and_a_box_together_as_the_official_predictor_does(points, labels):
    """As in SAM2ImagePredictor._predict the corners are points with labels 2 and 3, before all others."""
    model = with_contrast("sam2")
    merged = np.concatenate([np.reshape(BOX, (2, 2)), points]) * model.transform.scale(HEIGHT, WIDTH)
    expected = model.network(
        image_embeddings=model.image_embeddings(model.encode([IMAGE])),
        input_points=torch.tensor(merged, dtype=torch.float32)[None, None],
        input_labels=torch.tensor([2, 3, *labels])[None, None],
        multimask_output=False,
    ).pred_masks[0, :, 0]
    points, labels, box = np.array(points), np.array(labels), np.array(BOX)
    low, _ = decode(model, Prompt.of(Points(points, labels), Box(box)))
    assert expected.std() > 0.2
    torch.testing.assert_close(low, expected, atol=1e-4, rtol=0)
    for alone in (Points(points, labels), Box(box)):
        assert (decode(model, Prompt.of(alone))[0] - expected).abs().max() > 0.01


def test_clipseg_equals_its_own_forward():
    phrases = ["black spots", "fire"]
    model = models.load("clipseg").create("tiny", 4)
    features = model.encode([IMAGE])
    with torch.no_grad():
        logits = model.decode(features, [[Prompt.of(Text(phrase)) for phrase in phrases]])[0]
        ids = model.phrases.tokenizer(phrases, padding=True, return_tensors="pt")
        expected = model.network(
            input_ids=ids.input_ids,
            attention_mask=ids.attention_mask,
            pixel_values=model.transform.to_input([IMAGE]).repeat(2, 1, 1, 1),
        ).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-3)


def test_clipseg_pixels_equal_those_of_its_image_processor():
    from transformers import ViTImageProcessor

    model = models.load("clipseg").create("tiny", 4)
    size = model.transform.size
    processor = ViTImageProcessor(
        size={"height": size, "width": size}, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    )
    expected = processor(Image.fromarray(IMAGE), return_tensors="pt")["pixel_values"]
    # One gray level is 1 / 58 after normalization.
    assert (model.transform.to_input([IMAGE]) - expected).abs().max() < 1.2 / 57
