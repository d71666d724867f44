"""Weights of fine-tuned runs: the trained tensors only, and for their own checkpoint only."""

import pytest
import torch
from promptseg.core.errors import UserError
from promptseg.nn import finetuned_weights, weights
from promptseg.nn.segmenter import Segmenter
from torch import nn


def same(loaded: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return loaded.keys() == expected.keys() and all(
        torch.equal(loaded[name], value) for name, value in expected.items()
    )


def refused(call, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Tiny(Segmenter):
    NAME, PROMPTS, TRAINABLE = "tiny", frozenset({"none"}), {"head": ("head.",)}

    def __init__(self):
        super().__init__()
        self.body, self.head, self.prepared = nn.Linear(2, 3), nn.Linear(3, 1), False

    def prepare_finetuned(self):
        self.prepared = True


def write_trained(tmp_path):
    """A model and the folder of its trained head."""
    segmenter = Tiny()
    names = segmenter.set_trainable(["head"])
    trained = {name: segmenter.state_dict()[name] for name in names}
    finetuned_weights.write(tmp_path / "w", trained, segmenter.NAME, "digest", {"epoch": 3})
    return segmenter, tmp_path / "w"


def test_trained_tensors_alone_are_written_and_loaded(tmp_path):
    segmenter, folder = write_trained(tmp_path)
    config, tensors = weights.read(folder)
    assert config == {
        "model": "tiny",
        "checkpoint": "digest",
        "trained_parameters": ["head.bias", "head.weight"],
        "epoch": 3,
    }
    assert tensors.keys() == {"head.weight", "head.bias"}
    fresh = Tiny()
    body = fresh.body.weight.clone()
    finetuned_weights.apply(fresh, "digest", folder)
    assert torch.equal(fresh.head.weight, segmenter.head.weight) and torch.equal(fresh.body.weight, body)
    assert fresh.prepared


def test_weights_of_another_checkpoint_are_refused(tmp_path):
    _, folder = write_trained(tmp_path)
    fresh = Tiny()
    before = fresh.head.weight.clone()
    assert str(folder) in refused(finetuned_weights.apply, fresh, "another", folder)
    assert torch.equal(fresh.head.weight, before) and not fresh.prepared


@pytest.mark.parametrize(
    "tensors, line",
    [
        ({"tail.weight": torch.ones(1)}, 'Unexpected key(s) in state_dict: "tail.weight"'),
        ({"head.weight": torch.ones(1, 4), "head.bias": torch.ones(1)}, "size mismatch for head.weight"),
    ],
)
def test_weights_that_do_not_fit_the_model_are_refused_in_one_line(tmp_path, tensors, line):
    folder = tmp_path / "w"
    weights.write(folder, {"model": "tiny", "checkpoint": "digest", "trained_parameters": sorted(tensors)}, tensors)
    fresh = Tiny()
    message = refused(finetuned_weights.apply, fresh, "digest", folder)
    assert message.startswith(f"{folder}: does not fit tiny ({line}") and not fresh.prepared


@pytest.mark.parametrize("missing", ["head.weight", "head.bias"])
def test_weights_without_a_trained_tensor_are_refused(tmp_path, missing):
    _, folder = write_trained(tmp_path)
    config, tensors = weights.read(folder)
    weights.write(folder, config, {name: value for name, value in tensors.items() if name != missing})
    fresh = Tiny()
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    assert refused(finetuned_weights.apply, fresh, "digest", folder).startswith(
        f"{folder}: some of the trained tensors"
    )
    assert same(fresh.state_dict(), before) and not fresh.prepared


def test_weights_with_further_tensors_are_refused(tmp_path):
    _, folder = write_trained(tmp_path)
    config, tensors = weights.read(folder)
    weights.write(folder, config, {**tensors, "body.bias": torch.zeros(3)})
    assert str(folder) in refused(finetuned_weights.apply, Tiny(), "digest", folder)
