"""Decoders on frozen CLIP: their features are CLIP's own, from either kind of released file."""

import functools

import numpy as np
import pytest
import torch
from PIL import Image
from promptseg import models
from promptseg.models import clip_decoder_transformer
from promptseg.nn import weights
from promptseg.nn.clip import TINY
from promptseg.prompts import Prompt
from promptseg.prompts.text import Text
from refusing import refused
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

NAMES = ("clip_decoder_cnn", "clip_decoder_unet", "clip_decoder_transformer")
IMAGE = np.kron(np.random.default_rng(3).integers(0, 256, (15, 20, 3), np.uint8), np.ones((10, 10, 1), np.uint8))


@pytest.fixture(scope="module")
def tiny():
    return {name: models.load(name).create("tiny", 4) for name in NAMES}


@pytest.fixture(scope="module")
def released(tmp_path_factory, tiny):
    """A folder in the layout of the hub, but small: 12 blocks as in ViT-B, and 4 x 4 positions."""
    folder = tmp_path_factory.mktemp("clip")
    vision = {**TINY["vision_config"], "num_hidden_layers": 12, "image_size": 32}
    torch.manual_seed(5)
    CLIPModel(CLIPConfig(**{**TINY, "vision_config": vision, "projection_dim": 512})).save_pretrained(folder)
    for file, content in tiny[NAMES[0]].files().items():
        (folder / file).write_bytes(content)
    return folder


def block_outputs(network: CLIPModel, pixels: torch.Tensor) -> list[torch.Tensor]:
    """Outputs of CLIP's blocks, computed one by one."""
    vision = network.vision_model
    hidden = vision.pre_layrnorm(vision.embeddings(pixels, interpolate_pos_encoding=True))
    return [hidden := layer(hidden, attention_mask=None) for layer in vision.encoder.layers]


@pytest.mark.parametrize("name", NAMES)
def test_features_are_the_patch_tokens_of_clips_blocks(name, released):
    """Blocks 3, 6, 9 and 12 of 12, as in UNETR; tokens row by row, as the patches are."""
    model = models.load(name).convert(released)
    network = CLIPModel.from_pretrained(released).eval()
    features = model.encode([IMAGE])
    with torch.no_grad():
        outputs = block_outputs(network, model.transform.to_input([IMAGE]))
    assert model.transform.size == 22 * 8 and set(features) == {f"quarter{quarter}" for quarter in model.BLOCKS}
    for quarter in model.BLOCKS:
        tokens, expected = features[f"quarter{quarter}"], outputs[3 * quarter - 1][0, 1:].reshape(22, 22, -1)
        torch.testing.assert_close(tokens[0].permute(1, 2, 0), expected, rtol=1e-4, atol=1e-5)


def test_phrase_embeddings_are_those_of_clip(tiny):
    model = tiny["clip_decoder_unet"]
    ids = model.phrases.tokenizer(["two cats", "a dog on a sofa"], padding=True, return_tensors="pt")
    side = TINY["vision_config"]["image_size"]
    with torch.no_grad():
        expected = model.network(**ids, pixel_values=torch.zeros(1, 3, side, side)).text_embeds
        embeddings = torch.stack(model.phrases(["two cats", "a dog on a sofa"]))
    torch.testing.assert_close(torch.nn.functional.normalize(embeddings), expected, rtol=1e-4, atol=1e-5)
    assert model.phrases(["two cats"])[0] is model.phrases(["two cats"])[0], "computed once"


def test_pixels_are_those_of_clips_image_processor(tiny):
    transform = tiny["clip_decoder_cnn"].transform
    size = {"height": transform.size, "width": transform.size}
    processor = CLIPImageProcessor(size=size, do_center_crop=False, resample=Image.Resampling.BILINEAR)
    expected = processor(Image.fromarray(IMAGE), return_tensors="pt")["pixel_values"]
    assert (transform.to_input([IMAGE]) - expected).abs().max() < 1.2 / 66  # one gray level at some pixels


@pytest.mark.parametrize("name", NAMES)
def test_old_releases_give_the_same_bytes(name, released, tmp_path):
    """The hub has only pytorch_model.bin for ViT-B/16, with position ids that newer releases do not store."""
    old = tmp_path / "old"
    old.mkdir()
    for file in ("config.json", "vocab.json", "merges.txt"):
        (old / file).write_bytes((released / file).read_bytes())
    tensors = weights.tensors(released / weights.TENSORS)
    ids = {f"{tower}_model.embeddings.position_ids": torch.arange(17)[None] for tower in ("text", "vision")}
    torch.save({**tensors, **ids}, old / weights.PICKLED_TENSORS)
    kind = models.load(name)
    for source, out in ((released, "a"), (old, "b")):
        model = kind.convert(source)
        weights.write(tmp_path / out, model.configuration(), model.state_dict(), model.files())
    assert weights.digest(tmp_path / "a") == weights.digest(tmp_path / "b")
    assert kind.RELEASED == weights.PICKLED_TENSORS
    state = kind.load(tmp_path / "a", 1).state_dict()
    assert all(torch.equal(state[f"network.{key}"], value) for key, value in tensors.items())


@pytest.mark.parametrize(("name", "side"), list(zip(NAMES, (176, 176, 88))))
def test_size_of_the_decoder_and_side_of_the_logits(name, side, released):
    model = models.load(name).convert(released)
    prompt = Prompt.of(Text("a cat")) if "text" in model.PROMPTS else Prompt()
    with torch.no_grad():
        logits = model.decode(model.encode([IMAGE] * 2), [[prompt]] * 2)
    assert logits.shape == (2, 1, side, side)
    assert (model.patches, model.width, model.transform.size) == (22, 128, 176)
    tiny = models.load(name).convert(released, size="tiny")
    assert (tiny.patches, tiny.width, tiny.transform.size) == (16, 32, 128)


def test_all_positions_differ():
    positions = clip_decoder_transformer.positions(32, 6, torch.device("cpu")).flatten(1).T
    distances = torch.cdist(positions, positions) + 10 * torch.eye(36)
    assert positions.shape == (36, 32) and distances.min() > 0.1


def test_the_full_size_needs_released_weights_with_a_tokenizer(released, tmp_path):
    for name in NAMES:
        refused(lambda: models.load(name).create("full", 0), f"models.{name}.official or source")
    for path in released.iterdir():
        if path.name != "merges.txt":
            (tmp_path / path.name).symlink_to(path)
    refused(lambda: models.load("clip_decoder_unet").convert(tmp_path), "merges.txt: not found; phrases need")


def test_a_checkpoint_of_another_width_is_refused(tiny, tmp_path):
    model = tiny["clip_decoder_transformer"]
    weights.write(tmp_path / "w", {**model.configuration(), "width": 64}, model.state_dict(), model.files())
    load = functools.partial(models.load("clip_decoder_transformer").load, tmp_path / "w", 1)
    refused(load, "do not fit its config.json (decoder.")
