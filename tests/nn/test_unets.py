"""U-Net with an encoder trained on ImageNet: torchvision's ResNet-34, under the names of its files."""

import pytest
import torch
import torchvision
from promptseg import models
from promptseg.core.errors import UserError
from promptseg.nn import weights
from safetensors.torch import save_file


def test_the_encoder_has_the_tensors_of_the_file_and_the_rest_is_seeded(tmp_path):
    torch.manual_seed(5)
    released, prefix = torchvision.models.resnet34().state_dict(), "network.encoder."
    torch.save(released, tmp_path / "resnet34.pth")
    save_file(released, tmp_path / "resnet34.safetensors")
    model, second = (models.load("unet").convert(tmp_path / f"resnet34{suffix}") for suffix in (".pth", ".safetensors"))
    first = model.state_dict()
    assert all(torch.equal(value, first[name]) for name, value in second.state_dict().items())
    loaded = {name.removeprefix(prefix): value for name, value in first.items() if name.startswith(prefix)}
    assert all(torch.equal(value, released[name]) for name, value in loaded.items())
    ignored = released.keys() - loaded.keys()
    assert all(name.startswith("fc.") or "running_" in name or "num_batches" in name for name in ignored)
    weights.write(tmp_path / "c", model.configuration(), first)
    assert models.load("unet").load(tmp_path / "c", 3).architecture == model.architecture


def test_another_network_is_refused(tmp_path):
    path = tmp_path / "resnet50.pth"
    with torch.device("meta"):
        shapes = torchvision.models.resnet50().state_dict()
    torch.save({name: torch.zeros(value.shape) for name, value in shapes.items() if "layer4" not in name}, path)
    with pytest.raises(UserError, match=r"resnet50.pth: layer1.0.conv1.weight is .* a ResNet-34 is expected"):
        models.load("unet").convert(path)
