"""U-Net with an encoder that was trained on ImageNet: torchvision's ResNet-34, under the names of its files."""

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


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_the_encoders_tensors_are_the_files_and_the_rest_is_seeded(ending, resnet, tmp_path):
    path = tmp_path / f"resnet34{ending}"
    torch.save(resnet.state_dict(), path) if ending == ".pth" else save_file(resnet.state_dict(), path)
    one, again = (models.load("unet").convert(path).state_dict() for _ in range(2))
    given, encoder = resnet.state_dict(), "network.encoder."
    assert all(torch.equal(value, again[name]) for name, value in one.items())
    taken = {name.removeprefix(encoder): value for name, value in one.items() if name.startswith(encoder)}
    assert all(torch.equal(value, given[name]) for name, value in taken.items())
    left = given.keys() - taken.keys()
    assert all(name.startswith("fc.") or "running_" in name or "num_batches" in name for name in left)
    weights.write(tmp_path / "c", (model := models.load("unet").convert(path)).configuration(), model.state_dict())
    assert models.load("unet").load(tmp_path / "c", 3).architecture == model.architecture


def test_another_network_is_refused(tmp_path):
    path = tmp_path / "resnet50.pth"
    torch.save(torchvision.models.resnet50().state_dict(), path)
    with pytest.raises(UserError, match=r"resnet50.pth: layer1.0.conv1.weight is .* a ResNet-34 is expected"):
        models.load("unet").convert(path)
