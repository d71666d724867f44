"""Released .pth files of SAM and MedSAM against the authors' own code, on seeded weights.

With ViT-B's widths, heads and windows, but 3 of its 12 blocks and 512 pixels in place of 1024: the full size takes
minutes on a busy machine. PROMPTSEG_FULL_SIZE=1 pytest tests/nn/test_sam_checkpoint.py runs it.
"""

import os
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from promptseg import models
from promptseg.inference.class_maps import predict_classes
from promptseg.nn import sam_checkpoint, weights
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.mask import Mask
from promptseg.prompts.points import Points
from refusing import refused
from segment_anything import SamPredictor, build_sam_vit_b, build_sam_vit_h, build_sam_vit_l
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from transformers import SamModel

FULL = "PROMPTSEG_FULL_SIZE" in os.environ
SIDE = 1024 if FULL else 512
SMOOTH = np.random.default_rng(3).integers(0, 200, (6, 8, 3), np.uint8)  # not white: MedSAM scales
IMAGE = np.array(Image.fromarray(SMOOTH).resize((200, 150), Image.Resampling.BICUBIC))
HEIGHT, WIDTH = IMAGE.shape[:2]
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


@pytest.fixture(scope="module")
def original():
    """The authors' network; weights that are initialized as 0 are random, so that they have an effect."""
    torch.manual_seed(7)
    network = build_sam_vit_b() if FULL else shallow()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "rel_pos" in name or "pos_embed" in name or name.endswith("bias"):
                parameter.normal_(0, 0.02)
    return network.eval()


@pytest.fixture(scope="module")
def file(original, tmp_path_factory):
    """As released: a pickled state dict."""
    path = tmp_path_factory.mktemp("released") / "sam_vit_b.pth"
    torch.save(original.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def predictor(original):
    predictor = SamPredictor(original)
    predictor.set_image(IMAGE)
    return predictor


@pytest.fixture(scope="module")
def converted(file):
    model = models.load("sam").convert(file)
    return model, model.encode([IMAGE])


def assert_same_mask(predicted: np.ndarray, expected: np.ndarray) -> None:
    """Random weights predict all or nothing, so masks are thresholded at the median of the expected values."""
    level = float(np.median(expected))
    mask, target = predicted > level, expected > level
    assert 0.05 < target.mean() < 0.95
    assert (mask & target).sum() / (mask | target).sum() > 0.999


def logits_of(model, features, prompt: Prompt) -> np.ndarray:
    with torch.no_grad():
        logits = model.decode(features, [[prompt.to_model(model.transform, HEIGHT, WIDTH)]])[0]
        return model.transform.to_image(logits, HEIGHT, WIDTH)[0].numpy()


@pytest.mark.parametrize("kind", ["one point", "several points", "box", "mask"])
def test_sam_predicts_the_masks_of_the_authors_predictor(kind, predictor, converted):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[40:100, 50:170] = 1
    part, arguments = {
        "one point": (Points(POINTS[:1], LABELS[:1]), dict(point_coords=POINTS[:1], point_labels=[1])),
        "several points": (Points(POINTS, LABELS), dict(point_coords=POINTS, point_labels=LABELS)),
        "box": (Box(BOX), dict(box=BOX)),
        "mask": (Mask(mask), None),
    }[kind]
    if arguments is None:  # 150 x 200 are 3 : 4, so they fill three quarters of the square
        side = SIDE // 4
        low = np.full((1, side, side), -10, np.float32)
        rough = Image.fromarray(mask * np.float32(20)).resize((side, side * 3 // 4), Image.Resampling.BILINEAR)
        low[0, : side * 3 // 4] = np.array(rough) - 10
        arguments = dict(mask_input=low)
    masks, iou, _ = predictor.predict(**arguments, multimask_output=kind == "one point", return_logits=True)
    assert_same_mask(logits_of(*converted, Prompt.of(part)), masks[iou.argmax()])


def test_a_converted_file_is_loaded_from_a_checkpoint_of_ours(file, converted, tmp_path):
    for folder, model in (("a", converted[0]), ("b", models.load("sam").convert(file))):
        weights.write(tmp_path / folder, model.configuration(), model.state_dict(), model.files())
    assert weights.digest(tmp_path / "a") == weights.digest(tmp_path / "b")
    state = models.load("sam").load(tmp_path / "a", 1).state_dict()
    assert all(torch.equal(value, state[key]) for key, value in converted[0].state_dict().items())


def medsam(original, box: np.ndarray) -> np.ndarray:
    """The steps of the authors' MedSAM_Inference.py, up to the probabilities; resized by Pillow in place of skimage."""
    resized = np.array(Image.fromarray(IMAGE).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    resized = np.clip(resized, IMAGE.min(), IMAGE.max())
    scaled = (resized - resized.min()) / np.clip(resized.max() - resized.min(), a_min=1e-8, a_max=None)
    with torch.no_grad():
        embedding = original.image_encoder(torch.tensor(scaled).float().permute(2, 0, 1)[None])
        boxes = torch.as_tensor(box[None] / np.array([WIDTH, HEIGHT, WIDTH, HEIGHT]) * SIDE, dtype=torch.float)[:, None]
        sparse, dense = original.prompt_encoder(points=None, boxes=boxes, masks=None)
        low, _ = original.mask_decoder(
            image_embeddings=embedding, image_pe=original.prompt_encoder.get_dense_pe(), multimask_output=False,
            sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense,
        )  # fmt: skip
        probability = torch.sigmoid(low)
        return F.interpolate(probability, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)[0, 0].numpy()


def test_medsam_predicts_the_masks_of_the_authors_script(original, file):
    model = models.load("medsam").convert(file)
    pixels = model.transform.to_input([IMAGE])
    assert (pixels.min(), pixels.max()) == (0, 1)
    with torch.no_grad():
        prompts = [Prompt.of(Box(BOX))]
        probability = predict_classes(model, model.encode([IMAGE]), prompts, (1, HEIGHT, WIDTH)).probability[0]
    expected = medsam(original, BOX)
    np.testing.assert_allclose(probability, expected, atol=1e-4)
    assert_same_mask(probability, expected)


def test_medsam_is_converted_from_a_folder_of_the_hub_too_and_needs_released_weights_at_full_size(tmp_path):
    network = models.load("sam").create("tiny", 5).network
    network.save_pretrained(tmp_path)
    converted = models.load("medsam").convert(tmp_path).network.state_dict()
    assert all(torch.equal(value, converted[name]) for name, value in network.state_dict().items())
    refused(lambda: models.load("medsam").create("full", 0), "models.medsam")


def test_medsam_scales_between_the_extremes_after_resizing_and_takes_constant_images():
    transform = models.load("medsam").create("tiny", 0).transform
    speck = np.full((1024, 1024), 100, np.uint8)
    speck[500, 500] = 255  # hardly any of it is left at a quarter of the size
    values = transform.to_input([speck, np.full((9, 9), 7, np.uint8)])
    assert values[0].max() == 1 and (values[0] > 0.5).any() and values[1].abs().max() == 0


@pytest.mark.parametrize("missing", ["image_encoder.pos_embed", "mask_decoder.iou_prediction_head.layers.0.weight"])
def test_files_of_other_networks_are_refused_with_the_missing_tensor(missing, original, tmp_path):
    others = {name: value for name, value in original.state_dict().items() if name != missing}
    line = f"{tmp_path}: no SAM of segment_anything's layout; it lacks {missing}"
    refused(lambda: sam_checkpoint.load(SamModel, others, tmp_path), line)


def test_a_file_with_a_released_name_must_be_the_released_one_and_code_in_a_file_is_not_run(tmp_path):
    for name, words in (("sam_vit_b_01ec64.pth", "not the released file of this name"), ("a.pth", "more than tensors")):
        torch.save({"image_encoder.pos_embed": LayerNorm2d(3)}, tmp_path / name)
        refused(lambda: models.load("sam").convert(tmp_path / name), tmp_path / name, words)


@pytest.mark.parametrize(
    "build, depth, heads", [(build_sam_vit_b, 12, 12), (build_sam_vit_l, 24, 16), (build_sam_vit_h, 32, 16)]
)
def test_the_released_sizes_are_inferred_from_their_shapes(build, depth, heads, tmp_path):
    with torch.device("meta"):
        original = build().state_dict()
        config = sam_checkpoint.infer_config(original, tmp_path)
        expected = SamModel(config).state_dict()
    assert {name: value.shape for name, value in sam_checkpoint.rename(original).items()} == {
        name: value.shape for name, value in expected.items()
    }
    vision = config.vision_config
    assert (vision.num_attention_heads, vision.num_hidden_layers) == (heads, depth)
    last = [depth // 4 * i - 1 for i in (1, 2, 3, 4)]  # a global block ends each quarter
    assert (vision.window_size, vision.image_size, vision.global_attn_indexes) == (14, 1024, last)
