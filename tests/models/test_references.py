"""Models against transformers' own processors and forward passes, on the same seeded weights."""

import numpy as np
import pytest
import torch
from PIL import Image
from promptseg import models
from promptseg.inference import prediction
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points
from promptseg.prompts.text import Text

IMAGE = np.kron(np.random.default_rng(3).integers(0, 256, (15, 20, 3), np.uint8), np.ones((10, 10, 1), np.uint8))
HEIGHT, WIDTH = IMAGE.shape[:2]
POINT, BOX = [70.5, 60.5], [30.0, 20.0, 150.0, 110.0]


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
