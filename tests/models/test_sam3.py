"""SAM 3 against transformers' own processor and model on the same weights, its released layout, and its training."""

import functools
import json

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core.train_config import Lora, Train
from promptseg.inference.class_maps import predict_classes
from promptseg.models import sam3
from promptseg.nn import lora, text_encoder, weights
from promptseg.prompts import Prompt, PromptConfig
from promptseg.prompts.exemplars import Exemplars
from promptseg.prompts.text import Text
from refusing import refused
from safetensors.torch import save_file
from transformers import Sam3ImageProcessor, Sam3Processor

SIZE = sam3.TINY["vision_config"]["backbone_config"]["image_size"]
FIRST, SECOND, THIRD = [10.0, 5.0, 30.0, 25.0], [35.5, 30.0, 60.0, 70.5], [2.0, 50.0, 15.0, 65.0]
PHRASE, OTHER = Text("a cat"), Text("two long-haired dogs")
GIVEN = {
    "text": [PHRASE],
    "exemplars": [Exemplars.of([FIRST, SECOND], [])],
    "exemplars of both kinds": [Exemplars.of([FIRST], [SECOND, THIRD])],
    "text and exemplars": [OTHER, Exemplars.of([FIRST], [SECOND])],
    "text and a negative exemplar": [PHRASE, Exemplars.of([], [THIRD])],
}
PROMPTS = pytest.mark.parametrize("parts", GIVEN.values(), ids=GIVEN)
# Layers that neither our model nor transformers' own uses: it has maps of three sizes, and drops the smallest of four.
UNUSED = ("fpn_layers.3", "conv_layers.2", "norms.2")


def image(height: int = SIZE, width: int = SIZE, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 10, width // 10, 3), np.uint8)
    return np.kron(coarse, np.ones((10, 10, 1), np.uint8))


@torch.no_grad()
def with_contrast() -> sam3.Sam3:
    """A tiny model whose random weights are so large that its maps depend on the prompt."""
    model = models.load("sam3").create("tiny", 0)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, 0.5 if "embed" in name else parameter[0].numel() ** -0.5)
    model.network.mask_decoder.semantic_projection.weight *= 4
    model.network.mask_decoder.mask_embedder.layers[-1].weight *= 0.02
    return model


@pytest.fixture(scope="module")
def model():
    return with_contrast()


@pytest.fixture(scope="module")
def processor(model):
    images = Sam3ImageProcessor(size={"height": SIZE, "width": SIZE})
    return Sam3Processor(images, text_encoder.tokenizer(model.files()))


@torch.no_grad()
def official(model, processor, pixels: np.ndarray, parts: list):
    """The output of transformers' own processor and model."""
    given = {part.KIND: part for part in parts}
    boxes = {}
    if "exemplars" in given:
        corners, labels = given["exemplars"].corners, given["exemplars"].labels
        boxes = {"input_boxes": [corners.tolist()], "input_boxes_labels": [labels.tolist()]}
    phrase = given["text"].phrase if "text" in given else None
    return model.network(**processor(images=pixels, text=phrase, return_tensors="pt", **boxes))


@torch.no_grad()
def decode(model, pixels: np.ndarray, *prompts: Prompt) -> torch.Tensor:
    """Logits (p, side, side)."""
    inputs = [prompt.to_model(model.transform, *pixels.shape[:2]) for prompt in prompts]
    return model.decode(model.encode([pixels]), [inputs])[0]


@PROMPTS
def test_both_readouts_equal_those_of_the_processor_and_its_model(model, processor, parts):
    out = official(model, processor, image(), parts)
    semantic, instances = (Prompt.of(*parts, readout=readout) for readout in ("semantic", "instances"))
    logits, joined = decode(model, image(), semantic, instances)
    assert out.semantic_seg.std() > 0.3
    np.testing.assert_allclose(logits, out.semantic_seg[0, 0], atol=1e-4)
    results = processor.post_process_instance_segmentation(out, threshold=0.0, mask_threshold=0.0)[0]
    scored = results["scores"][:, None, None] * out.pred_masks[0].sigmoid()
    assert len(results["scores"]) == 16 and joined.std() > 0.1
    np.testing.assert_allclose(joined, torch.logit(scored.amax(dim=0)), atol=1e-4)
    for threshold in joined.sigmoid().quantile(torch.tensor([0.3, 0.6])).tolist():
        masks = [
            processor.post_process_instance_segmentation(each, score - 1e-6, min(threshold / score, 1.0))[0]["masks"]
            for each, score in zip(queries(out), results["scores"].tolist())
        ]
        assert iou(joined.sigmoid() > threshold, torch.cat(masks).amax(dim=0) > 0) > 0.999


def queries(out):
    """The output for each query alone."""
    for index in range(out.pred_logits.shape[1]):
        one = {name: getattr(out, name)[:, index : index + 1] for name in ("pred_logits", "pred_boxes", "pred_masks")}
        yield type(out)(**one, presence_logits=out.presence_logits)


def iou(mask: torch.Tensor, other: torch.Tensor) -> float:
    assert mask.any() and not mask.all()
    return float((mask & other).sum() / (mask | other).sum())


@PROMPTS
def test_the_probability_map_of_an_image_of_any_size_equals_the_processor_s(model, processor, parts):
    pixels = image(130, 190)
    out = official(model, processor, pixels, parts)
    (expected,) = processor.post_process_semantic_segmentation(
        out, target_sizes=[pixels.shape[:2]], return_segmentation_scores=True
    )
    features = model.encode([pixels])
    maps = predict_classes(model, features, [Prompt.of(*parts)], (1, *pixels.shape[:2]))
    # Pillow's and torchvision's resizing differ by a gray level here and there.
    np.testing.assert_allclose(maps.probability, expected.segmentation_scores, atol=5e-3)
    assert iou(torch.from_numpy(maps.probability[0] > 0.5), expected.segmentation > 0) > 0.999


def test_prompts_of_one_image_do_not_depend_on_each_other():
    model, single = with_contrast(), with_contrast()
    prompts = [Prompt.of(*parts) for parts in GIVEN.values()]
    prompts += [Prompt.of(Text(phrase)) for phrase in ("x", "a phrase of more words than the others have", "fire")]
    images = [image(), image(200, 90, seed=1)]
    alone = torch.stack([torch.cat([decode(single, each, prompt) for prompt in prompts]) for each in images])
    for together in (prompts[1:3], [prompts[0], *prompts[5:]], prompts[3:4]):  # a batch has one kind of prompt
        rows = [[prompt.to_model(model.transform, *each.shape[:2]) for prompt in together] for each in images]
        with torch.no_grad():
            logits = model.decode(model.encode(images), rows)
        expected = alone[:, [prompts.index(prompt) for prompt in together]]
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)


@torch.no_grad()
def test_images_of_a_batch_may_have_different_phrases_and_numbers_of_exemplars(model):
    rows = [Prompt.of(PHRASE, Exemplars.of([FIRST], [])), Prompt.of(OTHER, Exemplars.of([SECOND], [FIRST, THIRD]))]
    images = [image(), image(seed=1)]
    logits = model.decode(model.encode(images), [[prompt] for prompt in rows])
    for own, pixels, prompt in zip(logits, images, rows):
        torch.testing.assert_close(own, decode(model, pixels, prompt), rtol=0, atol=1e-4)


@pytest.mark.parametrize("video", [True, False])
def test_the_hub_s_file_of_the_video_model_is_read(model, video, tmp_path):
    """As facebook/sam3 has it: the tracker beside the detector, and the configurations of both in one file."""
    config, prefix = model.configuration()["network"], "detector_model." * video
    config = {"model_type": "sam3_video", "detector_config": config, "tracker_config": {}} if video else config
    state = {f"{prefix}{name}": value.clone() for name, value in model.network.state_dict().items()}
    if video:
        state |= {"tracker_model.mask_decoder.iou_token.weight": torch.zeros(1, 8)}
        state |= {"tracker_neck.fpn_layers.0.proj1.weight": torch.zeros(8, 8, 1, 1)}
    save_file(state, tmp_path / weights.TENSORS)
    (tmp_path / weights.CONFIG).write_text(json.dumps(config))
    refused(lambda: models.load("sam3").convert(tmp_path), "vocab.json: not found")
    for name, content in model.files().items():
        (tmp_path / name).write_bytes(content)
    converted = models.load("sam3").convert(tmp_path)
    assert torch.equal(decode(converted, image(), Prompt.of(PHRASE)), decode(model, image(), Prompt.of(PHRASE)))
    del state[f"{prefix}text_projection.weight"]
    save_file(state, tmp_path / weights.TENSORS)
    refused(lambda: models.load("sam3").convert(tmp_path), "1 tensors of Sam3Model are missing")


@pytest.mark.parametrize("part", ["mask_decoder", "decoder", "encoder", "lora", "all"])
def test_the_loss_of_the_semantic_map_reaches_all_that_is_trained(part):
    model = with_contrast()
    prompt = Prompt.of(*GIVEN["text and exemplars"])
    with torch.inference_mode():  # as in a validation before
        model.decode(model.encode([image()]), [[prompt]])
    if part == "lora":
        lora.attach(model, model.LORA_TARGETS, Lora(rank=2))
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # 0 at first, so that lora_A has no gradient
                torch.nn.init.normal_(parameter)
    trainable = model.set_trainable([part])
    assert len([name for name in trainable if "lora" in name]) == (24 if part == "lora" else 0)
    model.train().decode(model.encode([image()]), [[prompt]]).square().mean().backward()
    grads = {name: parameter.grad for name, parameter in model.named_parameters() if name in trainable}
    without = {name for name, grad in grads.items() if grad is None or not grad.abs().sum() > 0}
    # A key's bias adds the same to all scores of a query.
    assert {name for name in without if not name.endswith("k_proj.bias")} <= {
        name for name in trainable if any(unused in name for unused in UNUSED)
    }


def test_the_instances_readout_is_for_predictions_of_sam3_alone():
    kind, config = models.load("sam3"), functools.partial(PromptConfig, text="class")
    kind.check_prompt(config(readout="instances"))
    refused(
        lambda: models.load("clipseg").check_prompt(config(readout="semantic")), "clipseg has no readout 'semantic'"
    )
    train = Train(epochs=1, trainable=["mask_decoder"], prompt=config(readout="instances"))
    refused(lambda: kind.check_training(train), "sam3 is trained by its semantic map")


def test_a_batch_of_sizes_that_the_cache_stores_is_the_output_of_the_encoder(model):
    assert {name: tuple(each.shape) for name, each in model.encode([image()]).items()} == {"image": (1, 100, 64)}
