"""Decoders on frozen CLIP: what they are given is CLIP's own, from the hub's files in either form."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from promptseg import models
from promptseg.core.errors import UserError
from promptseg.nn import clip_decoder, weights
from promptseg.nn.clip import TINY
from promptseg.prompts import Prompt
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

NAMES = ("clip_decoder_cnn", "clip_decoder_unet", "clip_decoder_transformer")
PICTURE = np.kron(np.random.default_rng(3).integers(0, 256, (15, 20, 3), np.uint8), np.ones((10, 10, 1), np.uint8))


@pytest.fixture(scope="module")
def tiny():
    return {name: models.load(name).create("tiny", 4) for name in NAMES}


@pytest.fixture(scope="module")
def released(tmp_path_factory, tiny):
    """A folder as the hub has it, but tiny: 12 blocks and 4 x 4 positions, so that blocks and sizes are ViT-B's."""
    folder = tmp_path_factory.mktemp("clip")
    vision = {**TINY["vision_config"], "num_hidden_layers": 12, "image_size": 32}
    torch.manual_seed(5)
    CLIPModel(CLIPConfig(**{**TINY, "vision_config": vision, "projection_dim": 512})).save_pretrained(folder)
    for file, content in tiny[NAMES[0]].files().items():
        (folder / file).write_bytes(content)
    return folder


def walk(network: CLIPModel, pixels: torch.Tensor) -> list[torch.Tensor]:
    """The outputs of CLIP's blocks, one by one."""
    vision = network.vision_model
    hidden = vision.pre_layrnorm(vision.embeddings(pixels, interpolate_pos_encoding=True))
    return [hidden := layer(hidden, attention_mask=None) for layer in vision.encoder.layers]


@pytest.mark.parametrize("name", NAMES)
def test_its_features_are_the_patch_tokens_of_clip_s_blocks(name, released):
    """Blocks 3, 6, 9 and 12 of 12, as UNETR takes them; tokens in rows, as the patches lie."""
    model = models.load(name).convert(released)
    network = CLIPModel.from_pretrained(released).eval()
    features = model.encode([PICTURE])
    with torch.no_grad():
        outputs = walk(network, model.frame.pixels([PICTURE]))
    assert model.frame.size == 22 * 8 and set(features) == {f"quarter{quarter}" for quarter in model.BLOCKS}
    for quarter in model.BLOCKS:
        found, expected = features[f"quarter{quarter}"], outputs[3 * quarter - 1][0, 1:].reshape(22, 22, -1)
        torch.testing.assert_close(found[0].permute(1, 2, 0), expected, rtol=1e-4, atol=1e-5)


def test_a_phrase_s_embedding_is_clip_s(tiny):
    model = tiny["clip_decoder_unet"]
    ids = model.phrases.tokenizer(["two cats", "a dog on a sofa"], padding=True, return_tensors="pt")
    side = TINY["vision_config"]["image_size"]
    with torch.no_grad():
        expected = model.network(**ids, pixel_values=torch.zeros(1, 3, side, side)).text_embeds
        found = torch.stack(model.phrases(["two cats", "a dog on a sofa"]))
    torch.testing.assert_close(torch.nn.functional.normalize(found), expected, rtol=1e-4, atol=1e-5)
    assert model.phrases(["two cats"])[0] is model.phrases(["two cats"])[0], "computed once"


def test_pixels_are_those_of_clip_s_image_processor(tiny):
    frame = tiny["clip_decoder_cnn"].frame
    size = {"height": frame.size, "width": frame.size}
    processor = CLIPImageProcessor(size=size, do_center_crop=False, resample=Image.Resampling.BILINEAR)
    expected = processor(Image.fromarray(PICTURE), return_tensors="pt")["pixel_values"]
    assert (frame.pixels([PICTURE]) - expected).abs().max() < 1.2 / 66  # a gray level here and there


@pytest.mark.parametrize("name", NAMES)
def test_an_older_release_is_read_as_well_and_gives_the_same_bytes(name, released, tmp_path):
    """The hub has pytorch_model.bin alone for ViT-B/16, with positions that are no longer kept."""
    old = tmp_path / "old"
    old.mkdir()
    for file in ("config.json", "vocab.json", "merges.txt"):
        (old / file).write_bytes((released / file).read_bytes())
    tensors = weights.tensors(released / weights.TENSORS)
    ids = {f"{tower}_model.embeddings.position_ids": torch.arange(17)[None] for tower in ("text", "vision")}
    torch.save({**tensors, **ids}, old / weights.OLD)
    module = models.load(name)
    for source, out in ((released, "a"), (old, "b")):
        model = module.convert(source)
        weights.write(tmp_path / out, model.configuration(), model.state_dict(), model.files())
    assert weights.digest(tmp_path / "a") == weights.digest(tmp_path / "b")
    assert module.RELEASED == weights.OLD
    state = module.load(tmp_path / "a", 1).state_dict()
    assert all(torch.equal(state[f"network.{key}"], value) for key, value in tensors.items())


@pytest.mark.parametrize(("name", "side"), list(zip(NAMES, (176, 176, 88))))
def test_logits_are_as_fine_as_the_decoder_makes_them(name, side, released):
    model = models.load(name).convert(released)
    phrase = "a cat" if "text" in model.PROMPTS else None
    with torch.no_grad():
        logits = model.decode(model.encode([PICTURE] * 2), [[Prompt(text=phrase)]] * 2)
    assert logits.shape == (2, 1, side, side)
    assert model.width == clip_decoder.WIDTH


def test_places_have_positions_of_their_own():
    found = models.load("clip_decoder_transformer").positions(32, 6, torch.device("cpu")).flatten(1).T
    distances = torch.cdist(found, found) + 10 * torch.eye(36)
    assert found.shape == (36, 32) and distances.min() > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_without_clip_it_says_what_to_set(name):
    with pytest.raises(UserError, match=f"models.{name}.official or source"):
        models.load(name).create("full", 0)


def test_a_missing_tokenizer_is_named(released, tmp_path):
    for path in released.iterdir():
        if path.name != "merges.txt":
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(UserError, match="merges.txt: not found; phrases need"):
        models.load("clip_decoder_unet").convert(tmp_path)


def test_a_checkpoint_of_another_width_is_refused(tiny, tmp_path):
    model = tiny["clip_decoder_transformer"]
    weights.write(tmp_path / "w", {**model.configuration(), "width": 64}, model.state_dict(), model.files())
    with pytest.raises(UserError, match=r"do not fit its config.json \(decoder\."):
        models.load("clip_decoder_transformer").load(tmp_path / "w", 1)
    assert json.loads((tmp_path / "w" / "config.json").read_text())["patches"] == model.patches
