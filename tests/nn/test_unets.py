"""U-Net with an encoder trained on ImageNet: torchvision's ResNet-34, under the names of its files."""

import pytest
import torch
import torchvision
from promptseg import models
from promptseg.core.errors import UserError
from promptseg.nn import weights
from safetensors.torch import save_file


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(5)
    return torchvision.models.resnet34().eval()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_the_encoder_has_the_tensors_of_the_file_and_the_rest_is_seeded(suffix, resnet, tmp_path):
    path = tmp_path / f"resnet34{suffix}"
    torch.save(resnet.state_dict(), path) if suffix == ".pth" else save_file(resnet.state_dict(), path)
    first, second = (models.load("unet").convert(path).state_dict() for _ in range(2))
    released, prefix = resnet.state_dict(), "network.encoder."
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    loaded = {name.removeprefix(prefix): value for name, value in first.items() if name.startswith(prefix)}
    assert all(torch.equal(value, released[name]) for name, value in loaded.items())
    ignored = released.keys() - loaded.keys()
    assert all(name.startswith("fc.") or "running_" in name or "num_batches" in name for name in ignored)
    weights.write(tmp_path / "c", (model := models.load("unet").convert(path)).configuration(), model.state_dict())
    assert models.load("unet").load(tmp_path / "c", 3).architecture == model.architecture


def test_another_network_is_refused(tmp_path):
    path = tmp_path / "resnet50.pth"
    torch.save(torchvision.models.resnet50().state_dict(), path)
    with pytest.raises(UserError, match=r"resnet50.pth: layer1.0.conv1.weight is .* a ResNet-34 is expected"):
        models.load("unet").convert(path)
