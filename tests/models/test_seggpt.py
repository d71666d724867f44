"""SegGPT on random weights against transformers' processor and model."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.inference.class_maps import predict_classes
from promptseg.models.seggpt import SegGpt
from promptseg.prompts import Prompt, PromptConfig
from promptseg.prompts.support import Support, SupportImage
from refusing import refused
from safetensors.torch import save_file
from transformers import SegGptImageProcessor

SIDE = 96  # of the tiny network's input


def image(seed: int, height: int, width: int) -> np.ndarray:
    """Blocks of random colors, as natural images are smooth."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 10, width // 10, 3), np.uint8)
    return np.kron(blocks, np.ones((10, 10, 1), np.uint8))


def support_of(shots: int) -> Support:
    shown = []
    for seed in range(shots):
        size = (70 + 20 * seed, 120)
        mask = np.zeros(size, bool)
        mask[15 : 50 + 10 * seed, 30 + 5 * seed : 81] = True
        shown.append(SupportImage(image(10 + seed, *size), mask))
    return Support(tuple(shown), (), 1.0)


@torch.no_grad()
def with_contrast() -> SegGpt:
    """A tiny model whose random painting depends on its prompt and is near to white in about half of the pixels."""
    model = SegGpt.create("tiny", 3)
    for name, parameter in model.network.model.named_parameters():
        if name.endswith("weight") and parameter.ndim > 1:
            parameter *= 4
    head, kept = model.network.decoder.decoder_pred.head, {}
    head.register_forward_hook(lambda module, inputs, out: kept.update(out=out))
    decode(model, image(0, 150, 200), 2)
    out = kept["out"].flatten(2)[0]
    gain = 1 / out.std(dim=1)
    head.weight *= gain[:, None, None, None]
    head.bias[:] = (head.bias - out.mean(dim=1)) * gain + 0.2
    return model


def decode(model: SegGpt, pixels: np.ndarray, shots: int) -> torch.Tensor:
    return model.decode(model.encode([pixels]), [[Prompt.of(support_of(shots))]])[0, 0]


@torch.no_grad()
@pytest.mark.parametrize("shots", [1, 3])
def test_masks_equal_those_of_the_processor_and_its_model(shots):
    model, query, shown = with_contrast(), image(0, 150, 200), support_of(shots).images
    processor = SegGptImageProcessor(size={"height": SIDE, "width": SIDE})
    inputs = processor(
        images=[query] * shots, prompt_images=[each.image for each in shown],
        prompt_masks=[each.mask.astype(np.uint8) for each in shown], num_labels=1, return_tensors="pt",
    )  # fmt: skip
    out = model.network(**inputs, feature_ensemble=shots > 1)
    first = SimpleNamespace(pred_masks=out.pred_masks[:1])
    for size in ((SIDE, SIDE), query.shape[:2]):
        expected = processor.post_process_semantic_segmentation(first, [size], num_labels=1)[0].numpy() > 0
        logits = model.transform.to_image(decode(model, query, shots)[None], *size)[0].numpy()
        mask = logits > 0
        assert 0.2 < expected.mean() < 0.8
        assert (mask & expected).sum() / (mask | expected).sum() > 0.999
    # Pillow's and torchvision's bicubic resizing differ by a gray level here and there; without that it is exact.
    exact = model.network(**{**inputs, "pixel_values": model.encode([query])["pixels"].expand(shots, -1, -1, -1),
                             "prompt_pixel_values": model.transform.to_input([each.image for each in shown])},
                          feature_ensemble=shots > 1)  # fmt: skip
    values = model.transform.painted(exact.pred_masks[0, :, SIDE:])
    torch.testing.assert_close(decode(model, query, shots), values, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        inputs["prompt_masks"], torch.stack([model.transform.paint(each.mask) for each in shown]), atol=1e-5, rtol=0
    )


@torch.no_grad()
def test_the_map_is_thresholded_where_a_color_is_as_near_to_white_as_to_black():
    model = SegGpt.create("tiny", 0)
    maps = predict_classes(model, model.encode([image(0, 50, 70)]), [Prompt.of(support_of(1))], (1, 50, 70))
    assert maps.probability.shape == (1, 50, 70) and 0 < maps.probability.min() < maps.probability.max() < 1
    channels = torch.tensor([[0.0, 300.0, 60.0, 128.0], [0.0, 255.0, 60.0, 128.0], [-9.0, 255.0, 262.0, 128.0]])
    mean, std = (torch.tensor(values)[:, None] for values in (model.transform.mean, model.transform.std))
    probability = model.transform.painted(((channels - mean) / std)[:, None]).sigmoid()[0]
    torch.testing.assert_close(probability, torch.tensor([0.0, 1.0, 375 / 765, 128 / 255]), atol=1e-5, rtol=0)


@torch.no_grad()
def test_each_support_image_counts():
    model = with_contrast()
    few, more = (decode(model, image(0, 150, 200), shots) for shots in (2, 3))
    assert float((few - more).abs().max()) > 0.01


def test_released_files_are_converted(tmp_path):
    network = SegGpt.create("tiny", 1).network
    network.config.save_pretrained(tmp_path)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    converted = SegGpt.convert(tmp_path)
    assert converted.transform.size == SIDE
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in converted.network.state_dict().items())


def test_support_images_are_taken_as_they_are():
    for given in ({}, {"visual_prompt": []}):
        SegGpt.check_prompt(PromptConfig(support=True, **given))
    refused(
        lambda: SegGpt.check_prompt(PromptConfig(support=True, visual_prompt=["crop"])),
        "seggpt takes support images as they are; leave out visual_prompt",
    )
    refused(lambda: models.load("seggpt").check_trainable(["decoder"]), "seggpt has nothing to train")
