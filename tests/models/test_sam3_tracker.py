"""The tracker of SAM 3 from files as the hub has them: those of the video model, of which it is a part."""

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core import params
from promptseg.download import checkpoints
from promptseg.models.sam3_tracker import Sam3Tracker
from refusing import refused
from safetensors.torch import save_file
from transformers import Sam3TrackerModel, Sam3VideoConfig, Sam3VideoModel

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
VISION = {key: value for key, value in Sam3Tracker.TINY["vision_config"].items() if key != "scale_factors"}
SMALL = dict(hidden_size=64, intermediate_size=64, num_layers=1, num_attention_heads=4)
DETECTOR = {
    "vision_config": VISION,
    "text_config": dict(
        vocab_size=99, hidden_size=32, intermediate_size=37, projection_dim=32, num_hidden_layers=1,
        num_attention_heads=4, max_position_embeddings=16,
    ),
    "geometry_encoder_config": SMALL, "detr_encoder_config": SMALL,
    "detr_decoder_config": {**SMALL, "num_queries": 3}, "mask_decoder_config": dict(hidden_size=64),
}  # fmt: skip
TRACKER = {
    **Sam3Tracker.TINY, "vision_config": VISION, "image_size": 224, "memory_attention_hidden_size": 64,
    "memory_attention_feed_forward_hidden_size": 64, "memory_attention_num_layers": 1,
    "memory_encoder_hidden_size": 64, "memory_encoder_output_channels": 16, "mask_downsampler_embed_dim": 64,
    "memory_fuser_embed_dim": 64, "memory_fuser_intermediate_dim": 64,
}  # fmt: skip


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A small video model, and its folder in the layout of the hub."""
    torch.manual_seed(3)
    types = {"detector_config": {"model_type": "sam3", **DETECTOR}}
    types["tracker_config"] = {"model_type": "sam3_tracker_video", **TRACKER}
    network = Sam3VideoModel(Sam3VideoConfig(**types)).eval()
    with torch.no_grad():
        network.tracker_model.no_memory_embedding.normal_()  # 0 as initialized
    folder = tmp_path_factory.mktemp("released")
    network.config.save_pretrained(folder)
    # Under the names of the hub's file; save_pretrained would undo the renames of the tracker alone.
    save_file({name: value.clone() for name, value in network.state_dict().items()}, folder / "model.safetensors")
    return network, folder


def test_the_tracker_of_the_video_model_is_taken_with_every_value(video):
    network, folder = video
    found = models.load("sam3_tracker").convert(folder).network.state_dict()
    expected = Sam3TrackerModel.from_pretrained(folder).state_dict()
    assert {name for name in expected if name not in found} == {
        f"vision_encoder.neck.fpn_layers.3.{name}"
        for name in ("proj1.weight", "proj1.bias", "proj2.weight", "proj2.bias")
    }
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert torch.equal(found["no_memory_embedding"], network.tracker_model.no_memory_embedding)


@torch.no_grad()
def test_an_image_is_encoded_as_the_first_frame_of_a_video_is(video):
    network, folder = video
    model = models.load("sam3_tracker").convert(folder)
    vision = network.detector_model.get_vision_features(pixel_values=model.transform.to_input([IMAGE]))
    *finer, low = network.get_vision_features_for_tracker(vision)[0]
    expected = [*finer, low + network.tracker_model.no_memory_embedding]  # as _prepare_memory_conditioned_features
    for values, theirs in zip(model.image_embeddings(model.encode([IMAGE])), expected, strict=True):
        torch.testing.assert_close(values[0].flatten(1).T, theirs[:, 0], rtol=1e-5, atol=1e-5)


def test_the_files_of_another_model_are_refused(video, tmp_path):
    folder = tmp_path / "sam2"
    models.load("sam2").create("tiny", 0).network.save_pretrained(folder)
    words = f"{folder}: not the released weights of sam3_tracker ("
    refused(lambda: checkpoints.released("sam3_tracker", params.Model(), str(folder), 0), words, "fetch them again")
