"""Training of SAM and its relatives in stages/pretrain."""

import checkpoint_scores
import initial_weights
import numpy as np
import pretraining
import pytest
import sam_models
import settings
import torch
from promptseg import models
from promptseg.models.pa_sam import PaSam
from promptseg.models.sam import Sam
from promptseg.nn import weights
from promptseg.nn.image_transform import IMAGENET_MEAN, IMAGENET_STD, ImageTransform
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.training import checkpoint_manager
from promptseg.training.checkpoint_manager import CheckpointManager
from promptseg.training.trainer import Outputs
from synthetic_scenes import RAW, sam_training
from transformers import SamConfig, SamModel


def test_trained_checkpoint_loads_as_sam_and_resuming_gives_the_same_bytes(tmp_path, monkeypatch):
    def train(name):
        outputs = Outputs(tmp_path / "state", tmp_path / name, tmp_path / f"{name}.csv")
        pretraining.train("sam", sam_models.build_sam, sam_training(), 0, outputs)
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
    segmenter = models.load("sam").load(tmp_path / "whole", 1)
    stored = weights.read(tmp_path / "whole")[1]
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert all(value.dtype == torch.float32 for value in segmenter.parameters())
    config = settings.Evaluation(images=2, prompts=4)
    metrics = checkpoint_scores.score_checkpoints({"sam": segmenter}, config, 0, tmp_path, tmp_path)
    assert 0 <= metrics["sam_box_iou"] <= 1 and set(metrics["requirements_met"]) <= set(metrics)


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
    trained = models.load(name).load(tmp_path / name, 1).network.state_dict()
    unchanged = {
        key for key, value in sam.network.state_dict().items() if torch.equal(trained[key], value.half().float())
    }
    encoder = {key for key in trained if key.startswith("vision_encoder.")}
    if name == "pa_sam":
        assert encoder <= unchanged and "mask_decoder.iou_token.weight" in unchanged
        assert "mask_decoder.mask_tokens.weight" not in unchanged
    else:
        assert {key for key in trained if key.startswith("prompt_encoder.")} <= unchanged
        assert not {key for key in encoder if key.endswith("qkv.weight")} & unchanged


def test_untrained_adapter_predicts_nearly_the_masks_of_its_sam(tmp_path, monkeypatch):
    torch.manual_seed(0)
    network = SamModel(SamConfig(**sam_models.NETWORK))
    sam = Sam(initial_weights.initialize_sam(network, torch.randn(4, 3, 128, 128)), single_mask=True)
    weights.write(tmp_path, sam.configuration(), sam.state_dict())
    sam.transform = ImageTransform(128, False, IMAGENET_MEAN, IMAGENET_STD)  # PA-SAM's
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    prompts = [[Prompt.of(Box(np.array([10.0, 20, 70, 90]))), Prompt.of(Box(np.array([50.0, 5, 120, 60])))]]

    @torch.inference_mode()
    def relative_difference():
        config = settings.SamTraining.model_validate(RAW["pa_sam"])
        adapted = sam_models.build_pa_sam(config, 0, tmp_path).segmenter.eval()
        assert PaSam.samples_hard_points and not adapted.samples_hard_points
        logits = sam.eval().decode(sam.encode([image]), prompts)[0]
        adapted_logits = adapted.adapt(adapted.encode([image]), prompts, hard=False).logits
        return ((adapted_logits - logits).std() / logits.std()).item()

    zero_initialized = relative_difference()
    monkeypatch.setattr(initial_weights, "zero_initialize_adapter", lambda decoder: None)
    randomly_initialized = relative_difference()
    assert zero_initialized < 0.05 and randomly_initialized > 5 * zero_initialized
