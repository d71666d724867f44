"""Released .pth files against the authors' own code, on seeded weights.

ViT-B's widths, heads and windows, but 3 of its 12 blocks and 512 pixels in place of 1024: the whole of it takes minutes
on a busy machine. PROMPTSEG_FULL_SIZE=1 pytest tests/test_original_sam.py runs it.
"""

import os
import re
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from promptseg import models
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.download import checkpoints
from promptseg.inference import prediction
from promptseg.nn import sam_checkpoint, weights
from promptseg.prompts import Prompt
from segment_anything import SamPredictor, build_sam_vit_b, build_sam_vit_h, build_sam_vit_l
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from transformers import SamModel

FULL = "PROMPTSEG_FULL_SIZE" in os.environ
SIDE = 1024 if FULL else 512
SMOOTH = np.random.default_rng(3).integers(0, 200, (6, 8, 3), np.uint8)  # darker than white: MedSAM's range is its own
PICTURE = np.array(Image.fromarray(SMOOTH).resize((200, 150), Image.Resampling.BICUBIC))
HEIGHT, WIDTH = PICTURE.shape[:2]
POINTS, LABELS = np.array([[70.5, 60.5], [120.5, 90.5], [20.5, 130.5]]), np.array([1, 1, 0])
BOX = np.array([30.0, 20.0, 150.0, 110.0])


def shallow() -> Sam:
    """build_sam_vit_b with fewer blocks and pixels."""
    encoder = ImageEncoderViT(
        depth=3, embed_dim=768, img_size=SIDE, mlp_ratio=4, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        num_heads=12, patch_size=16, use_rel_pos=True, global_attn_indexes=[1], window_size=14, out_chans=256,
    )  # fmt: skip
    prompts = PromptEncoder(256, (SIDE // 16, SIDE // 16), (SIDE, SIDE), 16)
    decoder = MaskDecoder(transformer_dim=256, transformer=TwoWayTransformer(2, 256, 8, 2048))
    return Sam(encoder, prompts, decoder, [123.675, 116.28, 103.53], [58.395, 57.12, 57.375])


@pytest.fixture(scope="module", autouse=True)
def two_threads():
    """On a busy machine, more wait for each other longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(2, before))
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def original():
    """The authors' network with weights that are all at work, those that start at 0 too."""
    torch.manual_seed(7)
    network = build_sam_vit_b() if FULL else shallow()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "rel_pos" in name or "pos_embed" in name or name.endswith("bias"):
                parameter.normal_(0, 0.02)
    return network.eval()


@pytest.fixture(scope="module")
def file(original, tmp_path_factory):
    """As it was released: a pickled state dict."""
    path = tmp_path_factory.mktemp("released") / "sam_vit_b.pth"
    torch.save(original.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def predictor(original):
    predictor = SamPredictor(original)
    predictor.set_image(PICTURE)
    return predictor


@pytest.fixture(scope="module")
def ours(file):
    model = models.load("sam").convert(file)
    return model, model.encode([PICTURE])


def agree(found: np.ndarray, expected: np.ndarray, cut: float) -> None:
    """Random weights answer with all or nothing, so the masks are cut where the expected one is in two halves."""
    level = float(np.quantile(expected, cut))
    one, other = found > level, expected > level
    assert 0.05 < other.mean() < 0.95
    assert (one & other).sum() / (one | other).sum() > 0.999


def logits_of(model, features, prompt: Prompt) -> np.ndarray:
    with torch.no_grad():
        logits = model.decode(features, [[model.frame.prompt(prompt, HEIGHT, WIDTH)]])[0]
        return model.frame.to_picture(logits, HEIGHT, WIDTH)[0].numpy()


@pytest.mark.parametrize("kind", ["one point", "several points", "box", "mask"])
def test_sam_gives_the_masks_of_the_authors_predictor(kind, predictor, ours):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[40:100, 50:170] = 1
    prompt, asked = {
        "one point": (Prompt(points=POINTS[:1], labels=LABELS[:1]), dict(point_coords=POINTS[:1], point_labels=[1])),
        "several points": (Prompt(points=POINTS, labels=LABELS), dict(point_coords=POINTS, point_labels=LABELS)),
        "box": (Prompt(box=BOX), dict(box=BOX)),
        "mask": (Prompt(mask=mask), None),
    }[kind]
    if asked is None:  # 150 x 200 are 3 : 4, so they fill three quarters of the square
        side = SIDE // 4
        low = np.full((1, side, side), -10, np.float32)
        rough = Image.fromarray(mask * np.float32(20)).resize((side, side * 3 // 4), Image.Resampling.BILINEAR)
        low[0, : side * 3 // 4] = np.array(rough) - 10
        asked = dict(mask_input=low)
    found, quality, _ = predictor.predict(**asked, multimask_output=kind == "one point", return_logits=True)
    expected = found[quality.argmax()]
    agree(logits_of(*ours, prompt), expected, 0.5)


def test_a_converted_file_comes_back_from_our_own_folder(file, ours, tmp_path):
    for folder in ("a", "b"):
        checkpoints.obtain("sam", params.Model(source=str(file)), params.Scale(), 0, tmp_path / folder)
    assert weights.digest(tmp_path / "a") == weights.digest(tmp_path / "b")
    state = models.load("sam").load(tmp_path / "a", 1).state_dict()
    assert all(torch.equal(value, state[key]) for key, value in ours[0].state_dict().items())


def medsam(original, box: np.ndarray) -> np.ndarray:
    """The steps of the authors' MedSAM_Inference.py, up to the probabilities; resized by Pillow in place of skimage."""
    resized = np.array(Image.fromarray(PICTURE).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    resized = np.clip(resized, PICTURE.min(), PICTURE.max())
    scaled = (resized - resized.min()) / np.clip(resized.max() - resized.min(), a_min=1e-8, a_max=None)
    with torch.no_grad():
        embedding = original.image_encoder(torch.tensor(scaled).float().permute(2, 0, 1)[None])
        boxes = torch.as_tensor(box[None] / np.array([WIDTH, HEIGHT, WIDTH, HEIGHT]) * SIDE, dtype=torch.float)[:, None]
        sparse, dense = original.prompt_encoder(points=None, boxes=boxes, masks=None)
        low, _ = original.mask_decoder(
            image_embeddings=embedding,
            image_pe=original.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        return F.interpolate(torch.sigmoid(low), size=(HEIGHT, WIDTH), mode="bilinear", align_corners=False)[
            0, 0
        ].numpy()


def test_medsam_gives_the_masks_of_the_authors_script(original, file):
    model = models.load("medsam").convert(file)
    pixels = model.frame.pixels([PICTURE])
    assert (pixels.min(), pixels.max()) == (0, 1)
    with torch.no_grad():
        found = prediction.probabilities(model, model.encode([PICTURE]), [Prompt(box=BOX)], 1, HEIGHT, WIDTH)[0]
    expected = medsam(original, BOX)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    agree(found, expected, 0.5)


def test_medsam_s_folder_of_the_hub_is_taken_too(tmp_path):
    network = models.load("sam").create("tiny", 5).network
    network.save_pretrained(tmp_path)
    found = models.load("medsam").convert(tmp_path).network.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in network.state_dict().items())


def test_medsam_takes_the_extremes_after_the_size_and_stands_flat_pictures():
    frame = models.load("medsam").create("tiny", 0).frame
    speck = np.full((1024, 1024), 100, np.uint8)
    speck[500, 500] = 255  # hardly any of it is left at a quarter of the size
    values = frame.pixels([speck, np.full((9, 9), 7, np.uint8)])
    assert values[0].max() == 1 and (values[0] > 0.5).any() and values[1].abs().max() == 0


def test_medsam_is_of_no_use_without_its_weights():
    with pytest.raises(UserError, match="models.medsam"):
        models.load("medsam").create("full", 0)


@pytest.mark.parametrize("spoiled", ["image_encoder.pos_embed", "mask_decoder.iou_prediction_head.layers.0.weight"])
def test_what_is_no_sam_is_refused_by_name(spoiled, original, tmp_path):
    path = tmp_path / "other.pth"
    torch.save({name: value for name, value in original.state_dict().items() if name != spoiled}, path)
    with pytest.raises(
        UserError, match=f"{re.escape(str(path))}: no SAM of segment_anything's layout; it lacks {spoiled}"
    ):
        models.load("sam").convert(path)


def test_a_file_with_a_released_name_must_be_the_released_one(file, tmp_path):
    path = tmp_path / "sam_vit_b_01ec64.pth"
    path.symlink_to(file)
    with pytest.raises(UserError, match="not the released file of this name"):
        models.load("sam").convert(path)


def test_code_in_a_file_is_not_run(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"image_encoder.pos_embed": LayerNorm2d(3)}, path)
    with pytest.raises(UserError, match="more than tensors"):
        models.load("sam").convert(path)


@pytest.mark.parametrize(
    "build, depth, heads", [(build_sam_vit_b, 12, 12), (build_sam_vit_l, 24, 16), (build_sam_vit_h, 32, 16)]
)
def test_the_released_sizes_are_told_by_their_shapes(build, depth, heads, tmp_path):
    with torch.device("meta"):
        original = build().state_dict()
        config = sam_checkpoint.config(original, tmp_path)
        ours = SamModel(config).state_dict()
    assert {name: value.shape for name, value in sam_checkpoint.converted(original).items()} == {
        name: value.shape for name, value in ours.items()
    }
    vision = config.vision_config
    assert (vision.num_attention_heads, vision.num_hidden_layers) == (heads, depth)
    last = [depth // 4 * i - 1 for i in (1, 2, 3, 4)]  # a global block ends each quarter
    assert (vision.window_size, vision.image_size, vision.global_attn_indexes) == (14, 1024, last)
