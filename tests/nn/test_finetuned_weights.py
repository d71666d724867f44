"""Weights of fine-tuned runs: the trained tensors only, and for their own checkpoint only."""

import pytest
import torch
from promptseg.core.errors import UserError
from promptseg.nn import finetuned_weights, weights
from promptseg.nn.segmenter import Segmenter
from torch import nn


class Tiny(Segmenter):
    NAME, PROMPTS, TRAINABLE = "tiny", frozenset({"none"}), {"head": ("head.",)}

    def __init__(self):
        super().__init__()
        self.body, self.head, self.prepared = nn.Linear(2, 3), nn.Linear(3, 1), False

    def prepare_finetuned(self):
        self.prepared = True


@pytest.fixture
def trained(tmp_path):
    """A model and the folder of its trained head."""
    segmenter = Tiny()
    values = {name: segmenter.state_dict()[name] for name in segmenter.set_trainable(["head"])}
    finetuned_weights.write(tmp_path / "w", values, segmenter.NAME, "digest", {"epoch": 3})
    return segmenter, tmp_path / "w"


def test_trained_tensors_alone_are_written_and_loaded(trained):
    segmenter, folder = trained
    config, tensors = weights.read(folder)
    names = ["head.bias", "head.weight"]
    assert config == {"model": "tiny", "checkpoint": "digest", "trained_parameters": names, "epoch": 3}
    assert sorted(tensors) == names
    fresh = Tiny()
    body = fresh.body.weight.clone()
    assert finetuned_weights.apply(fresh, "digest", folder) == "digest"
    assert torch.equal(fresh.head.weight, segmenter.head.weight) and torch.equal(fresh.body.weight, body)
    assert fresh.prepared


UNLIKE = {"head.weight": torch.ones(1, 4), "head.bias": torch.ones(1)}


@pytest.mark.parametrize(
    "config, changed, line",
    [({"checkpoint": "another"}, {}, "trained from another checkpoint than this one; run `dvc repro`"),
     ({}, {"head.weight": None}, "some of the trained tensors are missing"),
     ({}, {"head.bias": None}, "some of the trained tensors are missing"),
     ({}, {"body.bias": torch.zeros(3)}, "some of the trained tensors are missing"),
     ({"trained_parameters": ["tail.weight"]}, {"head.weight": None, "head.bias": None, "tail.weight": torch.ones(1)},
      'does not fit tiny (Unexpected key(s) in state_dict: "tail.weight"'),
     ({}, UNLIKE, "does not fit tiny (size mismatch for head.weight")],
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused_in_one_line_and_change_nothing(config, changed, line, trained):
    _, folder = trained
    written, tensors = weights.read(folder)
    tensors = {name: value for name, value in {**tensors, **changed}.items() if value is not None}
    weights.write(folder, written | config, tensors)
    fresh = Tiny()
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    with pytest.raises(UserError) as error:
        finetuned_weights.apply(fresh, "digest", folder)
    assert str(error.value).startswith(f"{folder}: {line}") and "\n" not in str(error.value)
    if "fit" not in line:
        assert all(torch.equal(value, before[name]) for name, value in fresh.state_dict().items())
    assert not fresh.prepared
