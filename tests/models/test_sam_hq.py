"""HQ-SAM: its authors' files, and what is added to SAM's mask."""

import numpy as np
import pytest
import torch
from original_sam import renamed
from promptseg import models
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from refusing import refused
from transformers import SamHQModel

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
# transformers' names -> the authors', where SAM has none.
AUTHORS = {
    "hq_token.": "hf_token.",
    "hq_mask_mlp.layers.0.": "hf_mlp.layers.1.",
    "hq_mask_mlp.proj_in.": "hf_mlp.layers.0.",
    "hq_mask_mlp.proj_out.": "hf_mlp.layers.2.",
    "compress_vit_conv1.": "compress_vit_feat.0.",
    "compress_vit_norm.": "compress_vit_feat.1.",
    "compress_vit_conv2.": "compress_vit_feat.3.",
    "mask_decoder.encoder_conv1.": "mask_decoder.embedding_encoder.0.",
    "mask_decoder.encoder_norm.": "mask_decoder.embedding_encoder.1.",
    "mask_decoder.encoder_conv2.": "mask_decoder.embedding_encoder.3.",
    "mask_decoder.mask_conv1.": "mask_decoder.embedding_maskfeature.0.",
    "mask_decoder.mask_norm.": "mask_decoder.embedding_maskfeature.1.",
    "mask_decoder.mask_conv2.": "mask_decoder.embedding_maskfeature.3.",
}


@pytest.fixture(scope="module")
def model():
    return models.load("sam_hq").create("tiny", 2)


def authors(name: str) -> str:
    for ours, theirs in AUTHORS.items():
        name = name.replace(ours, theirs)
    return renamed(name)


def test_a_file_of_its_authors_is_converted_with_every_value(model, tmp_path):
    expected = model.network.state_dict()
    torch.save({authors(name): tensor for name, tensor in expected.items()}, tmp_path / "sam_hq.pth")
    converted = models.load("sam_hq").convert(tmp_path / "sam_hq.pth")
    found = converted.network.state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(value, found[key]) for key, value in expected.items())
    for name, values in converted.encode([IMAGE]).items():
        torch.testing.assert_close(values, model.encode([IMAGE])[name])


def test_a_file_of_sam_is_refused(tmp_path):
    network = models.load("sam").create("tiny", 2).network
    torch.save({renamed(name): tensor for name, tensor in network.state_dict().items()}, tmp_path / "sam.pth")
    refused(lambda: models.load("sam_hq").convert(tmp_path / "sam.pth"), "tensors of SamHQModel are missing, such as")


@torch.no_grad()
def test_masks_hang_on_both_tokens_and_on_early_features(model):
    features = model.encode([IMAGE])
    prompts = [[Prompt.of(Box(np.array([20.0, 30.0, 150.0, 110.0])))]]
    inputs = {"input_boxes": model.sparse_prompts(prompts)[2], "multimask_output": False}
    for changed, settings in (({}, {"hq_token_only": True}), ({"early": torch.zeros_like(features["early"])}, {})):
        other = model.network(**model.image_inputs({**features, **changed}), **inputs, **settings).pred_masks[:, :, 0]
        assert float((other - model.decode(features, prompts)).abs().max()) > 1e-6


@torch.no_grad()
def test_transformers_own_decoder_drops_the_updated_image_tokens(model):
    """Where this fails, transformers has changed, and `_use_updated_tokens` of models/sam_hq.py may be superfluous."""
    plain = SamHQModel(model.network.config).eval()
    plain.load_state_dict(model.network.state_dict())
    inputs = model.image_inputs(model.encode([IMAGE]))
    inputs |= {"input_boxes": torch.tensor([[[20.0, 30.0, 150.0, 110.0]]]), "multimask_output": False}
    ours, theirs = model.network(**inputs).pred_masks, plain(**inputs).pred_masks
    assert float((ours - theirs).abs().max()) > 0.01 * float(ours.std())
