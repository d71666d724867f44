"""SAM and its relatives against the official code and transformers' processors and models, on the same weights."""

import functools

import numpy as np
import pytest
import torch
from original_sam import original
from PIL import Image
from promptseg import models
from promptseg.inference.class_maps import predict_classes
from promptseg.prompts import Prompt, PromptConfig, PromptSource, build_prompts
from promptseg.prompts.box import Box
from promptseg.prompts.mask import Mask
from promptseg.prompts.points import Points
from segment_anything import SamPredictor
from segment_anything.utils.amg import batched_mask_to_box
from transformers import (
    Sam2ImageProcessor,
    Sam2Processor,
    Sam3ImageProcessor,
    Sam3TrackerProcessor,
    SamHQProcessor,
    SamImageProcessor,
    SamProcessor,
)

IMAGE = np.kron(np.random.default_rng(3).integers(0, 256, (15, 20, 3), np.uint8), np.ones((10, 10, 1), np.uint8))
HEIGHT, WIDTH = IMAGE.shape[:2]
SAM2_LIKE, FAMILY = ["sam2", "edgetam", "sam3_tracker"], ["sam", "sam_hq", "sam2", "edgetam", "sam3_tracker"]
POINT, BOX = [70.5, 60.5], [30.0, 20.0, 150.0, 110.0]
COMBINED = {  # points and their labels, beside a box
    "a point": ([POINT], [1]),
    "a negative point": ([[40.5, 100.5]], [0]),
    "points of both kinds": ([POINT, [130.5, 30.5], [40.5, 100.5]], [1, 1, 0]),
}


def processor_of(name: str, size: int):
    """The processor of transformers at the size of a tiny model, and its post-processing at that size."""
    if name in SAM2_LIKE:
        images, kind = (
            (Sam3ImageProcessor, Sam3TrackerProcessor)
            if name == "sam3_tracker"
            else (Sam2ImageProcessor, Sam2Processor)
        )
        processor = kind(images(size={"height": size, "width": size}), target_size=size)
        return processor, processor.post_process_masks
    square, half = {"height": size, "width": size}, {"height": size // 2, "width": size // 2}
    images = SamImageProcessor(
        size={"longest_edge": size}, pad_size=square, mask_size={"longest_edge": size // 2}, mask_pad_size=half
    )
    processor = SamHQProcessor(images) if name == "sam_hq" else SamProcessor(images)
    processor.target_size = size
    return processor, functools.partial(processor.image_processor.post_process_masks, pad_size=square)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["points", "box"])
@pytest.mark.parametrize("name", FAMILY)
def test_the_probability_map_equals_that_of_the_processor_and_its_model(name, kind):
    model = models.load(name).create("tiny", 4)
    if name in SAM2_LIKE:
        model.network.no_memory_embedding += 0.5  # 0 as initialized
    prompt = Prompt.of(Points(np.array([POINT]), np.array([1]))) if kind == "points" else Prompt.of(Box(np.array(BOX)))
    probability = predict_classes(model, model.encode([IMAGE]), [prompt], (1, HEIGHT, WIDTH)).probability[0]
    processor, post_process = processor_of(name, model.transform.size)
    given = {"input_boxes": [[BOX]]}
    if kind == "points":
        given = {"input_points": [[POINT]]} if name == "sam" else {"input_points": [[[POINT]]], "input_labels": [[[1]]]}
    inputs = processor(Image.fromarray(IMAGE), return_tensors="pt", **given)
    sizes = [inputs.pop(key) for key in ("original_sizes", "reshaped_input_sizes") if key in inputs]
    out = model.network(**inputs, multimask_output=kind == "points")
    logits = post_process(out.pred_masks, *sizes, binarize=False)[0][0, int(out.iou_scores[0, 0].argmax())]
    expected = torch.sigmoid(torch.as_tensor(logits)).numpy()
    # Pillow's and torchvision's resizing differ by a gray level here and there.
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
    gain = 1 / decode(model, Prompt.of(Box(np.array(BOX))))[0].std()
    for head in [*decoder.output_hypernetworks_mlps, *([decoder.hq_mask_mlp] if name == "sam_hq" else [])]:
        head.proj_out.weight *= gain
        head.proj_out.bias *= gain
    return model


def given_to(name: str, parts: list[Points | Box]) -> dict[str, list]:
    """Points and a box as arguments of a processor of transformers: for an image, for a prompt, ..."""
    given = {}
    for part in parts:
        if isinstance(part, Box):
            given["input_boxes"] = [[part.corners.tolist()]]
        else:
            given |= {"input_points": [[part.coordinates.tolist()]], "input_labels": [[part.labels.tolist()]]}
    return given


@torch.no_grad()
@pytest.mark.parametrize(
    "parts",
    [
        [Points(np.array([POINT]), np.array([1]))],
        [Points(np.array([POINT, [130.5, 30.5], [40.5, 100.5]]), np.array([1, 1, 0]))],
        [Box(np.array(BOX))],
        [Points(np.array([POINT, [40.5, 100.5]]), np.array([1, 0])), Box(np.array(BOX))],
    ],
    ids=["a point", "points of both kinds", "a box", "points and a box"],
)
@pytest.mark.parametrize("name", FAMILY)
def test_logits_and_masks_are_those_of_the_processor_and_its_model(name, parts):
    """On an image of the input's size, as both sides resize others with libraries of their own.

    HQ-SAM's network is transformers' with the image tokens of its authors (models/sam_hq.py).
    """
    model = with_contrast(name)
    size = model.transform.size
    image = np.random.default_rng(5).integers(0, 256, (size, size, 3), np.uint8)
    low = model.decode(model.encode([image]), [[Prompt.of(*parts).to_model(model.transform, size, size)]])[0]
    processor, post_process = processor_of(name, size)
    inputs = processor(Image.fromarray(image), return_tensors="pt", **given_to(name, parts))
    sizes = [inputs.pop(key) for key in ("original_sizes", "reshaped_input_sizes") if key in inputs]
    single_point = len(parts) == 1 and isinstance(parts[0], Points) and len(parts[0].labels) == 1
    out = model.network(**inputs, multimask_output=single_point)
    expected = out.pred_masks[:, :, int(out.iou_scores[0, 0].argmax())]
    assert expected.std() > 0.2
    torch.testing.assert_close(low, expected[0], rtol=0, atol=1e-4)
    masks = post_process(expected[:, :, None], *sizes)[0][0]
    ours = model.transform.to_image(low, size, size) > 0
    assert (masks & ours).sum() / (masks | ours).sum() > 0.999 and 0 < ours.sum() < ours.numel()


@torch.no_grad()
@pytest.mark.parametrize("name", FAMILY)
def test_a_mask_prompt_is_taken_as_by_the_model(name):
    model = with_contrast(name)
    size, side = model.transform.size, model.side
    image = np.random.default_rng(5).integers(0, 256, (size, size, 3), np.uint8)
    mask = np.zeros((side, side), np.float32)
    mask[10:40, 20:50] = 1
    features = model.encode([image])
    low = model.decode(features, [[Prompt.of(Mask(mask.repeat(4, 0).repeat(4, 1)))]])[0]
    logits = torch.from_numpy(20 * mask - 10)[None, None]
    pixels = model.transform.to_input([image])
    expected = model.network(pixel_values=pixels, input_masks=logits, multimask_output=False).pred_masks[0, :, 0]
    torch.testing.assert_close(low, expected, rtol=0, atol=1e-4)
    assert float((low - model.decode(features, [[Prompt.of(Box(np.array(BOX)))]])[0]).abs().max()) > 0.01


@pytest.fixture(scope="module")
def official():
    """Models, and the official code's logits (1, side, side) for points and a box on the same weights."""
    sam, sam2 = with_contrast("sam"), with_contrast("sam2")
    predictor = SamPredictor(original(sam))
    predictor.set_image(IMAGE)

    def of_sam(points, labels, box):
        logits, _, low = predictor.predict(points, labels, box, multimask_output=False, return_logits=True)
        return low, logits

    def of_sam2(points, labels, box):
        """As in SAM2ImagePredictor._predict the corners are points with labels 2 and 3, before all others."""
        merged = np.concatenate([box.reshape(2, 2), points]) * sam2.transform.scale(HEIGHT, WIDTH)
        low = sam2.network(
            image_embeddings=sam2.image_embeddings(sam2.encode([IMAGE])),
            input_points=torch.tensor(merged, dtype=torch.float32)[None, None],
            input_labels=torch.tensor([2, 3, *labels])[None, None],
            multimask_output=False,
        ).pred_masks[0, :, 0]
        return low, sam2.transform.to_image(low, HEIGHT, WIDTH)

    return {"sam": (sam, of_sam), "sam2": (sam2, of_sam2)}


@torch.no_grad()
@pytest.mark.parametrize("name", ["sam", "sam2"])
def test_prompts_of_different_numbers_of_points_do_not_depend_on_each_other(official, name):
    model = official[name][0]
    parts = [Points(np.array(points), np.ones(len(points), int)) for points in ([POINT], [POINT, [30.5, 20.5]] * 2)]
    prompts = [Prompt.of(part).to_model(model.transform, HEIGHT, WIDTH) for part in parts]
    images = [IMAGE, 255 - IMAGE]
    together = model.decode(model.encode(images), [prompts] * 2)
    for image, logits in zip(images, together, strict=True):
        for prompt, values in zip(prompts, logits, strict=True):
            np.testing.assert_allclose(values, model.decode(model.encode([image]), [[prompt]])[0, 0], atol=1e-4)
    assert float((together[0, 0] - together[0, 1]).abs().max()) > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("width", [60, 1])
@pytest.mark.parametrize("name", ["sam", "sam2"])
def test_the_box_of_a_mask_is_that_of_segment_anything_to_the_same_logits(official, name, width):
    """From the mask to the logits, each side by its own code; transformers' processor converts the box for SAM 2."""
    model, mask = official[name][0], np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[20:110, 30 : 30 + width] = 1
    box = batched_mask_to_box(torch.from_numpy(mask[None] > 0))[0].double().numpy()
    assert box.tolist() == [30, 20, 29 + width, 109]
    (prompt,), _ = build_prompts(PromptConfig(box=True), PromptSource("a", mask, ["disc"], 0))
    low, _ = decode(model, prompt)
    if name == "sam":
        predictor = SamPredictor(original(model))
        predictor.set_image(IMAGE)
        expected = predictor.predict(box=box, multimask_output=False)[2]
    else:
        processor, _ = processor_of(name, model.transform.size)
        boxes = processor(Image.fromarray(IMAGE), input_boxes=[[box.tolist()]], return_tensors="pt")["input_boxes"]
        embeddings = model.image_embeddings(model.encode([IMAGE]))
        out = model.network(image_embeddings=embeddings, input_boxes=boxes, multimask_output=False)
        expected = out.pred_masks[0, 0]
    np.testing.assert_allclose(low, expected, atol=1e-4)
    beyond, _ = decode(model, Prompt.of(Box(box + [0, 0, 1, 1])))
    assert float((beyond - low).abs().max()) > 1e-3, "a box that ends a pixel later is told apart"


@torch.no_grad()
@pytest.mark.parametrize("with_box", [False, True])
def test_clicks_with_the_last_prediction_are_taken_as_by_the_official_predictor(official, with_box):
    model, predictor = official["sam"][0], SamPredictor(original(official["sam"][0]))
    predictor.set_image(IMAGE)
    features, points, labels = model.encode([IMAGE]), np.array([POINT, [40.5, 100.5]]), np.array([1, 0])
    box = np.array(BOX) if with_box else None
    _, _, last = predictor.predict(points[:1], labels[:1], box, multimask_output=False)
    _, _, expected = predictor.predict(points, labels, box, last, multimask_output=False)
    parts = [Points(points, labels), *([Box(box)] if with_box else [])]
    prompt = Prompt.of(*parts).to_model(model.transform, HEIGHT, WIDTH)
    other = Prompt.of(*parts).to_model(model.transform, HEIGHT + 40, WIDTH)  # does not change the first
    logits = model.refine(features, [prompt, other], torch.as_tensor(last).repeat(2, 1, 1))
    np.testing.assert_allclose(logits[:1], expected, atol=1e-4)
    without = model.decode(features, [[prompt]])[0]
    assert float((without - logits[0]).abs().max()) > 0.01, "the last prediction makes no difference"


@torch.no_grad()
@pytest.mark.parametrize("points, labels", COMBINED.values(), ids=COMBINED)
@pytest.mark.parametrize("name", ["sam", "sam2"])
def test_points_and_a_box_are_taken_together_as_by_the_official_predictor(official, name, points, labels):
    model, predict = official[name]
    points, labels, box = np.array(points), np.array(labels), np.array(BOX)
    expected_low, expected = predict(points, labels, box)
    low, logits = decode(model, Prompt.of(Points(points, labels), Box(box)))
    assert expected_low.std() > 0.2 and expected.shape == (1, HEIGHT, WIDTH)
    np.testing.assert_allclose(low, expected_low, atol=1e-4)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    for alone in (Points(points, labels), Box(box)):  # each part counts
        assert np.abs(decode(model, Prompt.of(alone))[0].numpy() - np.asarray(expected_low)).max() > 0.01
