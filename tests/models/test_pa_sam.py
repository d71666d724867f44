"""PA-SAM against the steps of its authors' code, prompt by prompt with segment_anything's modules; and its files."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from promptseg import models
from promptseg.nn import prompt_adapter, sam_checkpoint
from promptseg.nn.segmenter import LossContext
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points
from promptseg.training.losses import dice_bce
from refusing import refused
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.mask_decoder import MLP
from segment_anything.modeling.transformer import Attention
from torch import nn
from transformers import SamMaskDecoderConfig

SIDE, PATCH, GRID, WIDTH = 128, 8, 16, 64
IMAGES = [np.random.default_rng(i).integers(0, 256, (40, 60, 3), np.uint8).repeat(3, 0).repeat(3, 1) for i in (1, 2)]
PROMPTS = {  # two for each image
    "points": [[Prompt.of(Points(np.array([[30.0, 40], [90, 20]]) + i, np.array([1, 0]))) for i in (0, 9)]] * 2,
    "box": [[Prompt.of(Box(np.array([10.0, 20, 90, 100]) + i)) for i in (0, 9)]] * 2,
}


class Adapter(nn.Module):
    """The adapter's tensors under the names of the released file (model/mask_decoder_pa.py of xzz2/pa-sam)."""

    def __init__(self, width: int):
        super().__init__()
        self.guiding_conv = nn.Sequential(
            nn.Conv2d(4, width // 4, 2, 2), LayerNorm2d(width // 4), nn.GELU(), nn.Conv2d(width // 4, width, 2, 2),
            LayerNorm2d(width), nn.GELU(), nn.Conv2d(width, width, 1),
        )  # fmt: skip
        self.prompt_adapter = nn.Module()
        self.prompt_adapter.static_uncertain_token = nn.Embedding(1, width)
        self.prompt_adapter.static_refined_token = nn.Embedding(1, width)
        self.prompt_adapter.uncertain_mlp = MLP(2 * width, width // 4, width, 3)
        self.prompt_adapter.refined_mlp = MLP(2 * width, width // 4, width, 3)
        self.prompt_adapter.cross_attn_token_to_image = Attention(width, 8, downsample_rate=2)


@pytest.fixture(scope="module")
def authors():
    torch.manual_seed(4)
    sam = Sam(
        ImageEncoderViT(
            depth=2, embed_dim=48, img_size=SIDE, num_heads=4, patch_size=PATCH, use_rel_pos=True, mlp_ratio=2,
            global_attn_indexes=(1,), window_size=7, out_chans=WIDTH,
        ),
        PromptEncoder(WIDTH, (GRID, GRID), (SIDE, SIDE), 16),
        MaskDecoder(
            transformer_dim=WIDTH, transformer=TwoWayTransformer(2, WIDTH, 8, 128), iou_head_hidden_dim=WIDTH
        ),
    ).eval()  # fmt: skip
    return sam, Adapter(WIDTH).eval()


@pytest.fixture(scope="module")
def released(authors, tmp_path_factory):
    """SAM's file, with a decoder of other weights, and the file of the decoder as the authors save it."""
    folder = tmp_path_factory.mktemp("pa-sam")
    sam, adapter = authors
    torch.save({**sam.mask_decoder.state_dict(), **adapter.state_dict()}, folder / "epoch_20.pth")
    original = {name: value + ("mask_decoder" in name) for name, value in sam.state_dict().items()}
    torch.save(original, folder / "sam_tiny.pth")
    return folder


def steps(sam: Sam, adapter: Adapter, pixels: torch.Tensor, prompt: Prompt) -> dict[str, torch.Tensor]:
    """One prompt for one image by the steps of the released code (mask_decoder_pa.py, transformer.py), in eval mode."""
    points = box = None
    if prompt.get("points"):
        coordinates, labels = prompt.get("points").coordinates, prompt.get("points").labels
        points = torch.tensor(coordinates[None], dtype=torch.float), torch.tensor(labels[None])
    else:
        box = torch.tensor(prompt.get("box").corners[None], dtype=torch.float)
    sparse, dense = sam.prompt_encoder(points, box, None)
    decoder, adapt, transformer = sam.mask_decoder, adapter.prompt_adapter, sam.mask_decoder.transformer
    small = F.interpolate(pixels, (4 * GRID, 4 * GRID), mode="bilinear", align_corners=False)
    edges = cv2.Canny((small[0].permute(1, 2, 0).numpy().astype(np.int64) % 256).astype(np.uint8), 10, 100)
    guide = adapter.guiding_conv(torch.cat([small, torch.from_numpy(edges).float()[None, None] / 255], 1))
    guide = guide.flatten(2).permute(0, 2, 1)
    pe = tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight, sparse[0]])[None]
    keys = (sam.image_encoder(pixels) + dense).flatten(2).permute(0, 2, 1)
    key_pe = sam.prompt_encoder.get_dense_pe().flatten(2).permute(0, 2, 1)
    first, second = transformer.layers
    queries, keys = first(queries=tokens, keys=keys, query_pe=pe, key_pe=key_pe)
    queries = second.norm1(queries + second.self_attn(q=queries + pe, k=queries + pe, v=queries))
    out = second.cross_attn_token_to_image(q=queries + pe, k=keys + key_pe, v=keys)
    guided = guide * keys
    fine = adapt.cross_attn_token_to_image(q=queries + pe, k=guided + key_pe, v=guided)
    uncertain = adapt.uncertain_mlp(torch.cat([adapt.static_uncertain_token.weight, fine[:, 1]], -1))
    refined = adapt.refined_mlp(torch.cat([adapt.static_refined_token.weight, fine[:, 1]], -1))
    u = torch.sigmoid(uncertain @ guided[0].T)[0]
    r, m = (refined @ guided[0].T)[0], (fine[:, 1] @ guided[0].T)[0]
    rank = u * (torch.sigmoid(r) - torch.sigmoid(m))
    for values, sign in ((rank, 1), (-rank, 0)):
        chosen = torch.zeros(len(values), dtype=bool)
        chosen[values.argsort(descending=True)[:4]] = True
        pe = torch.cat([pe, key_pe[:, chosen] + sam.prompt_encoder.point_embeddings[sign].weight], 1)
        fine = torch.cat([fine, (keys + guided)[:, chosen]], 1)
    fine[:, 1] = refined
    blank = torch.zeros(1, 8, WIDTH)
    queries = torch.cat([queries, blank], 1) + torch.cat([out, blank], 1) + fine
    keys = keys + guided
    queries = second.norm2(queries)
    queries = second.norm3(queries + second.mlp(queries))
    keys = second.norm4(keys + second.cross_attn_image_to_token(q=keys + key_pe, k=queries + pe, v=queries))
    out = transformer.final_attn_token_to_image(q=queries + pe, k=keys + key_pe, v=keys)
    queries = transformer.norm_final_attn(queries + out)
    up = decoder.output_upscaling(keys.transpose(1, 2).view(1, WIDTH, GRID, GRID))
    logits = torch.einsum("c,chw->hw", decoder.output_hypernetworks_mlps[0](queries[0, 1]), up[0])
    maps = {"uncertainty": u, "coarse": m, "refined": r, "intermediate": torch.where(u >= 0.5, r, m)}
    return {"logits": logits, **{name: values.view(GRID, GRID) for name, values in maps.items()}}


@pytest.mark.parametrize("kind", PROMPTS)
def test_masks_and_intermediate_maps_are_those_of_the_authors_steps(kind, authors, released):
    model = models.load("pa_sam").convert(released)
    with torch.no_grad():
        features = model.encode(IMAGES)
        masks = model.adapt(features, PROMPTS[kind])
        torch.testing.assert_close(model.decode(features, PROMPTS[kind]).flatten(0, 1), masks.logits)
        for i, image in enumerate(IMAGES):
            pixels = model.transform.to_input([image])
            assert 0.01 < features["guide"][i, 3].mean() < 0.9, "edges"
            for j, prompt in enumerate(PROMPTS[kind][i]):
                expected = steps(*authors, pixels, prompt)
                for name, values in expected.items():
                    torch.testing.assert_close(getattr(masks, name)[2 * i + j], values, rtol=1e-4, atol=1e-4)
                level = expected["logits"].median()
                mask, target = masks.logits[2 * i + j] > level, expected["logits"] > level
                assert (mask & target).sum() / (mask | target).sum() > 0.999


def test_files_are_one_with_all_tensors_or_both_of_a_folder(released, tmp_path):
    two = models.load("pa_sam").convert(released)
    sam, adapter = (sam_checkpoint.read(released / name) for name in ("sam_tiny.pth", "epoch_20.pth"))
    torch.save(sam | {f"mask_decoder.{name}": value for name, value in adapter.items()}, tmp_path / "sam_pa.pth")
    one = models.load("pa_sam").convert(tmp_path / "sam_pa.pth").state_dict()
    assert all(torch.equal(value, one[name]) for name, value in two.state_dict().items())
    for path in released.iterdir():
        folder = tmp_path / path.stem
        folder.mkdir()
        (folder / path.name).symlink_to(path)
        words = "no tensor ", "in its .pth files; a folder with sam_vit_l_0b3195.pth and"
        refused(lambda: models.load("pa_sam").convert(folder), *words)


def test_official_weights_have_to_be_given_by_the_user():
    model = models.load("pa_sam")
    assert model.OFFICIAL == (None, None)
    refused(lambda: model.create("full", 0), "are on no hub; give a folder with sam_vit_l_0b3195.pth")


def test_the_decoder_has_the_names_and_shapes_of_the_released_file():
    with torch.device("meta"):
        ours = prompt_adapter.AdaptedMaskDecoder(SamMaskDecoderConfig()).state_dict()
        decoder = MaskDecoder(transformer_dim=256, transformer=TwoWayTransformer(2, 256, 8, 2048)).state_dict()
        theirs = {f"mask_decoder.{name}": value for name, value in (decoder | Adapter(256).state_dict()).items()}
    shapes = {name: value.shape for name, value in sam_checkpoint.rename(theirs).items()}
    assert shapes == {f"mask_decoder.{name}": value.shape for name, value in ours.items()}


def test_the_rest_of_sam_is_frozen():
    model = models.load("pa_sam").create("tiny", 0)
    trainable = model.set_trainable(["adapter"])
    frozen = {name for name, _ in model.named_parameters()} - set(trainable)
    assert all("mask_decoder" in name for name in trainable) and any("prompt_adapter" in name for name in trainable)
    inside = {name.removeprefix("network.mask_decoder.").split(".")[0] for name in frozen if "mask_decoder" in name}
    assert inside == {"transformer", "iou_token", "iou_prediction_head"}


@pytest.fixture(scope="module")
def training():
    """A tiny PA-SAM, the features of two images with two prompts each, their targets, and its loss."""
    model = models.load("pa_sam").create("tiny", 0)
    model.set_trainable(["adapter"])
    features = {name: values.detach() for name, values in model.encode(IMAGES).items()}

    def targets(side):
        return (torch.arange(side) < side // 3).float().expand(4, side, side), torch.ones(4, side, side)

    def loss_of(epoch, seeds=(1, 2)):
        return model.compute_loss(features, PROMPTS["points"], LossContext(dice_bce, targets, epoch, list(seeds)))

    return model, features, targets, loss_of


def test_the_loss_is_of_the_mask_the_intermediate_mask_and_the_uncertainty(training):
    model, features, targets, loss_of = training
    masks = model.adapt(features, PROMPTS["points"])
    logits, losses = loss_of(0)
    torch.testing.assert_close(logits, masks.logits)
    grid = masks.coarse.shape[-1]
    target, weight = targets(grid)
    wrong = ((masks.coarse > 0).float() != target).float()
    expected = dice_bce(masks.logits, *targets(4 * grid)) + dice_bce(masks.intermediate, target, weight)
    expected = expected + F.binary_cross_entropy(masks.uncertainty, wrong, reduction="none").mean((1, 2))
    torch.testing.assert_close(losses, expected)
    losses.sum().backward()
    missing = [name for name, value in model.named_parameters() if value.requires_grad and value.grad is None]
    unused = ("mask_tokens", "mlps.1", "mlps.2", "mlps.3")  # of the three masks that are not computed
    assert all(any(part in name for part in unused) for name in missing), missing


def test_hard_points_start_in_the_sixth_epoch_and_are_sampled_with_the_seeds_of_the_images(training, monkeypatch):
    model, features, _, loss_of = training
    without, inference = (model.adapt(features, PROMPTS["points"], hard=hard).logits for hard in (False, True))
    for epoch in (1, 5):
        torch.testing.assert_close(loss_of(epoch)[0], without)
    sampled, again, other = loss_of(6)[0], loss_of(6)[0], loss_of(6, (1, 9))[0]
    assert torch.equal(sampled, again) and not torch.allclose(sampled, without, atol=1e-6)
    torch.testing.assert_close(sampled[:2], other[:2])  # the first image's seed is the same
    assert not torch.allclose(sampled[2:], other[2:], atol=1e-6)
    monkeypatch.setattr(model, "samples_hard_points", False)
    torch.testing.assert_close(loss_of(6)[0], inference)
    torch.testing.assert_close(loss_of(5)[0], without)


def test_hard_points_are_the_top_k_of_ranks_with_or_without_noise_which_passes_the_gradient_on():
    generator = torch.Generator().manual_seed(3)
    refined = torch.randn(2, 49, generator=generator, requires_grad=True)
    maps = {"uncertainty": torch.rand(2, 49, generator=generator), "refined": refined, "coarse": torch.zeros(2, 49)}
    gumbel = -torch.log(-torch.log(torch.rand(2, 2, 49, generator=generator)))
    rank = (maps["uncertainty"] * (torch.sigmoid(refined) - 0.5)).detach()
    for noise in (None, gumbel):
        indexes, factors = prompt_adapter.hard_points(maps, noise)
        for sign, values in enumerate((rank, -rank)):
            noisy = values if noise is None else values + noise[sign]
            expected = noisy.topk(4, dim=1).indices.sort(dim=1).values
            assert torch.equal(indexes[:, 4 * sign : 4 * sign + 4], expected)
        torch.testing.assert_close(factors, torch.ones(2, 8), rtol=0, atol=0 if noise is None else 1e-6)
    factors[:, :4].sum().backward()
    assert refined.grad.abs().max() > 0


def test_sampled_points_follow_the_softmax_of_the_ranks():
    """Gumbel-max: the largest of the noisy ranks is at index i with probability softmax(rank)_i."""
    noise = models.load("pa_sam").create("tiny", 0)._noise(list(range(1000)), 1)[0]
    rank = torch.linspace(0, 2, noise.shape[1])
    sampled = torch.bincount((rank + noise).argmax(dim=1), minlength=len(rank)) / len(noise)
    halves = (sampled - torch.softmax(rank, dim=0))[len(rank) // 2 :].sum()
    assert abs(halves) < 0.05  # three standard deviations of 1000 samples
