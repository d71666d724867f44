"""SAM and its relatives in stages/pretrain: initial weights, interactive training, and the checkpoints it writes."""

import initial_weights
import numpy as np
import pretraining
import pytest
import sam2_model
import sam_models
import settings
import torch
from prompted_images import sample_prompted_image
from promptseg import models, tiny
from promptseg.models.pa_sam import PaSam
from promptseg.models.sam import Sam
from promptseg.models.sam2 import Sam2
from promptseg.nn import weights
from promptseg.nn.image_transform import IMAGENET_MEAN, IMAGENET_STD, ImageTransform
from promptseg.nn.segmenter import LossContext
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.training import checkpoint_manager
from promptseg.training.checkpoint_manager import CheckpointManager
from promptseg.training.losses import dice
from promptseg.training.trainer import Outputs
from sam2_model import InteractiveSam2
from sam_models import InteractiveSam, _iou
from synthetic_scenes import RAW, sam_training
from transformers import Sam2Config, Sam2Model, SamConfig, SamModel


def initialized() -> SamModel:
    """Initial weights, fitted to images of four flat regions each."""
    torch.manual_seed(0)
    return initial_weights.initialize_sam(SamModel(SamConfig(**sam_models.NETWORK)), flat_regions(16)[0]).eval()


def flat_regions(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (n, 3, 128, 128) of four regions, each of its own color, and the regions' indices (n, 128, 128)."""
    regions = torch.nn.functional.interpolate(torch.randn(count, 4, 5, 5), (128, 128), mode="bicubic").argmax(dim=1)
    colors = torch.randn(count, 4, 3)
    return torch.stack([own[region] for own, region in zip(colors, regions, strict=True)]).movedim(3, 1), regions


@torch.no_grad()
def test_before_training_a_point_selects_similar_pixels_and_weights_depend_on_the_seed_alone():
    network, again = initialized(), initialized().state_dict()
    assert all(torch.equal(value, again[name]) for name, value in network.state_dict().items())
    positions = network.vision_encoder.pos_embed[0].flatten(0, 1)
    assert (torch.cdist(positions, positions) + 1e9 * torch.eye(len(positions))).min() > 0.1, "positions are distinct"
    torch.manual_seed(1)
    pixels, regions = flat_regions(40)
    points = torch.randint(8, 120, (40, 2))
    logits = network(pixels, input_points=points[:, None, None] + 0.5, multimask_output=False).pred_masks[:, 0, 0]
    areas = []
    for mask, region, (x, y) in zip(logits, regions[:, 1::2, 1::2], points // 2, strict=True):
        inside, outside = mask[region == region[y, x]], mask[region != region[y, x]]
        if len(outside):
            areas.append((inside[:, None] > outside[None]).float().mean())
    assert torch.stack(areas).mean() > 0.7
    assert -2.5 < logits.mean() < 0, "neither everything nor nothing is foreground"


@torch.no_grad()
def test_before_training_sam2_has_the_blocks_and_the_decoder_of_its_sam():
    """Exactly, but for SAM's relative positions, SAM 2's padding point of a box, and its token of the object score."""
    torch.manual_seed(0)
    sam = Sam.load(tiny.FOLDER / "sam", 1)
    segmenter = Sam2(sam2_model.initialize(Sam2Model(Sam2Config(**Sam2.TINY)), sam.network)).eval()
    image = sample_prompted_image(0, "test", 0, sam_training()).image
    side, points = min(image.shape[:2]), torch.tensor([[[[40.0, 60.0]]], [[[90.0, 30.0]]]])
    embedding = sam.encode([image[:side, :side]])["image"].expand(2, -1, -1, -1)
    skips = [torch.zeros(2, channels, size, size) for channels, size in ((12, 64), (24, 32))]
    found, expected = (
        network(image_embeddings=embeddings, input_points=points, input_labels=torch.ones(2, 1, 1, dtype=torch.long))
        for network, embeddings in ((segmenter.network, [*skips, embedding]), (sam.network, embedding))
    )
    correlation = torch.corrcoef(torch.stack([each.pred_masks.flatten() for each in (found, expected)]))[0, 1]
    assert correlation > 0.95
    assert (found.iou_scores.argmax(dim=-1) == expected.iou_scores.argmax(dim=-1)).all()
    hidden = torch.randn(2, 16, 16, 128)
    blocks = segmenter.network.vision_encoder.backbone.blocks[sam2_model.FIRST_BLOCK :]
    for block, layer in zip(blocks, sam.network.vision_encoder.layers):
        layer.attn.rel_pos_h.zero_(), layer.attn.rel_pos_w.zero_()
        torch.testing.assert_close(block(hidden), layer(hidden), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module", params=[InteractiveSam, InteractiveSam2])
def batch(request):
    """A segmenter with features, prompts and loss context of two images."""
    segmenter, config = request.param.create("tiny", 0), sam_training()
    config = config.model_copy(update={"kinds": {"flat": 1.0}})
    samples = [sample_prompted_image(0, "train", index, config) for index in (0, 1)]
    transform, side = segmenter.transform, segmenter.side
    target = np.stack([transform.from_image(each, side) for sample in samples for each in sample.targets])
    content = [transform.from_image(np.ones(sample.image.shape[:2], bool), side) for sample in samples]
    weight = np.repeat(np.stack(content) >= 0.5, 4, axis=0).astype(np.float32)
    targets = torch.from_numpy(target), torch.from_numpy(weight)
    features = segmenter.encode([sample.image for sample in samples])
    prompts = [[prompt.to_model(transform, *sample.image.shape[:2]) for prompt in sample.prompts] for sample in samples]
    return segmenter, features, prompts, LossContext(dice, lambda side: targets, 1, [5, 6])


def test_only_the_first_point_gets_three_masks(batch, monkeypatch):
    segmenter, features, prompts, context = batch
    calls, real = [], segmenter.network.forward

    def forward(*args, **named):
        points, boxes = named["input_points"], named["input_boxes"]
        shapes = [0 if points is None else points.shape[2], boxes is not None, named["input_masks"] is not None]
        calls.append((*shapes, named["multimask_output"]))
        return real(*args, **named)

    monkeypatch.setattr(segmenter.network, "forward", forward)
    segmenter.corrections, segmenter.corrected_share = 2, 1.0
    logits, losses = segmenter.compute_loss(features, prompts, context)
    assert logits.shape == (8, segmenter.side, segmenter.side) and losses.shape == (8,) and losses.requires_grad
    boxes = [(0, True, False, False), (1, True, True, False), (2, True, True, False), (2, True, True, False)]
    points = [(1, False, False, True), (2, False, True, False), (3, False, True, False), (3, False, True, False)]
    assert calls == boxes + points


def test_only_a_share_of_the_images_is_corrected_and_none_in_validation(batch):
    segmenter, *_, context = batch
    segmenter.corrections, segmenter.corrected_share = 2, 0.3
    many, validation = (LossContext(context.loss, context.targets, epoch, list(range(200))) for epoch in (1, 0))
    (uncorrected, none), (corrected, some) = segmenter._images_by_corrections(many)
    assert sorted(uncorrected + corrected) == list(range(200)) and 40 < len(corrected) < 80
    assert (none, some) == (-1, 2)
    assert segmenter._images_by_corrections(validation) == [(list(range(200)), -1)]


def test_curriculum_epochs_have_cross_entropy_and_the_others_focal_loss(batch):
    segmenter, features, prompts, context = batch
    segmenter.corrections, segmenter.corrected_share, segmenter.curriculum_epochs = 0, 0.0, 1
    in_epochs = [LossContext(dice, context.targets, epoch, [5, 6]) for epoch in range(3)]
    validated, first, second = (segmenter.compute_loss(features, prompts, each)[1] for each in in_epochs)
    assert torch.equal(validated, first) and not torch.allclose(first, second)


def test_corrections_lie_in_the_error_region_with_the_label_of_the_target(batch):
    segmenter, *_ = batch
    target = torch.zeros(2, segmenter.side, segmenter.side)
    target[:, 10:30, 15:45] = 1
    logits = torch.where(target > 0, 5.0, -5.0)
    logits[0, 10:13, 15:45] = -5  # false negative
    logits[1, 50:55, 50:55] = 5  # false positive
    points, labels = segmenter._sample_correction(logits, target, torch.ones_like(target), torch.Generator())
    assert labels[:, 0, 0].tolist() == [1, 0]
    (x0, y0), (x1, y1) = (points[:, 0, 0] * segmenter.side / segmenter.transform.size).tolist()
    assert 10 <= y0 < 13 and 15 <= x0 < 45 and 50 <= y1 < 55 and 50 <= x1 < 55


def test_iou_of_logits():
    target, weight = torch.zeros(1, 8, 8), torch.ones(1, 8, 8)
    target[:, :4], weight[:, :, 6:] = 1, 0
    logits = torch.full((1, 8, 8), -1.0)
    logits[:, 2:6, 1:] = 1
    assert _iou(logits, target, weight).item() == pytest.approx(10 / (24 + 20 - 10))


@pytest.mark.parametrize(
    "model, build, phases, start",
    [
        ("sam", sam_models.build_sam, ["train", "train"], None),
        ("sam2", sam2_model.build_sam2, ["pretext", "train", "train"], tiny.FOLDER / "sam"),
    ],
)
def test_trained_checkpoint_loads_and_resuming_gives_the_same_bytes(model, build, phases, start, tmp_path, monkeypatch):
    monkeypatch.setattr(sam_models, "INITIAL_IMAGES", 4)
    config = sam_training()
    settings = config.train.model_copy(update={"pretext_epochs": phases.count("pretext")})
    config = config.model_copy(update={"train": settings})

    def train(name):
        outputs = Outputs(tmp_path / "state", tmp_path / name, tmp_path / f"{name}.csv")
        pretraining.train(model, build, config, 0, outputs, start)
        return [(tmp_path / name / "model.safetensors").read_bytes(), (tmp_path / f"{name}.csv").read_bytes()]

    whole, real = train("whole"), CheckpointManager.save

    class Killed(BaseException):
        pass

    def killed(self, checkpoint):
        real(self, checkpoint)
        if len(checkpoint.rows) == 1:
            raise Killed

    monkeypatch.setattr(CheckpointManager, "save", killed)
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)
    with pytest.raises(Killed):
        train("resumed")
    assert (tmp_path / "state").exists()
    assert train("resumed") == whole and not (tmp_path / "state").exists()
    assert {value.dtype for value in weights.read(tmp_path / "whole")[1].values()} == {torch.float16}
    rows = (tmp_path / "whole.csv").read_text().splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == phases
    segmenter = models.load(model).load(tmp_path / "whole", 1)
    assert all(value.dtype == torch.float32 for value in segmenter.parameters())


@pytest.mark.parametrize("name", ["medsam", "pa_sam"])
def test_relatives_start_from_sam_and_train_their_own_parameters(name, tmp_path):
    torch.manual_seed(0)
    sam = Sam(SamModel(SamConfig(**sam_models.NETWORK)))
    weights.write(tmp_path / "sam", sam.configuration(), pretraining.half_precision(sam.state_dict()))
    train = {**RAW[name]["train"], "epochs": 1, "batch_size": 2}
    small = {"images": 2, "val_images": 1, "boxes": 2, "train": train}
    config = settings.SamTraining.model_validate({**RAW[name], **small})
    outputs = Outputs(tmp_path / "state", tmp_path / name, tmp_path / "curve.csv")
    pretraining.train(name, sam_models.BUILDERS[name], config, 0, outputs, tmp_path / "sam")
    trained, start = models.load(name).load(tmp_path / name, 1).network.state_dict(), sam.network.state_dict()
    unchanged = {key for key, value in start.items() if torch.equal(trained[key], value.half().float())}
    encoder = {key for key in trained if key.startswith("vision_encoder.")}
    if name == "pa_sam":
        assert encoder <= unchanged and "mask_decoder.iou_token.weight" in unchanged
        assert "mask_decoder.mask_tokens.weight" not in unchanged
    else:
        assert {key for key in trained if key.startswith("prompt_encoder.")} <= unchanged
        assert not {key for key in encoder if key.endswith("qkv.weight")} & unchanged


@torch.inference_mode()
def test_untrained_adapter_predicts_nearly_the_masks_of_its_sam(tmp_path, monkeypatch):
    torch.manual_seed(0)
    network = SamModel(SamConfig(**sam_models.NETWORK))
    sam = Sam(initial_weights.initialize_sam(network, torch.randn(4, 3, 128, 128))).eval()
    sam.single_mask = True
    weights.write(tmp_path, sam.configuration(), sam.state_dict())
    sam.transform = ImageTransform(128, False, IMAGENET_MEAN, IMAGENET_STD)  # PA-SAM's
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    prompts = [[Prompt.of(Box(np.array([10.0, 20, 70, 90]))), Prompt.of(Box(np.array([50.0, 5, 120, 60])))]]
    logits = sam.decode(sam.encode([image]), prompts)[0]

    def relative_difference():
        config = settings.SamTraining.model_validate(RAW["pa_sam"])
        adapted = sam_models.build_pa_sam(config, 0, tmp_path).segmenter.eval()
        assert PaSam.samples_hard_points and not adapted.samples_hard_points
        adapted_logits = adapted.adapt(adapted.encode([image]), prompts, hard=False).logits
        return ((adapted_logits - logits).std() / logits.std()).item()

    zero_initialized = relative_difference()
    monkeypatch.setattr(initial_weights, "zero_initialize_adapter", lambda decoder: None)
    randomly_initialized = relative_difference()
    assert zero_initialized < 0.05 and randomly_initialized > 5 * zero_initialized
