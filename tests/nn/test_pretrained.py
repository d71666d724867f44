"""Networks of transformers: every tensor accounted for, and no global setting changed."""

import json

import pytest
import torch
from promptseg import models
from promptseg.core.errors import UserError
from promptseg.nn import pretrained, weights
from refusing import refused
from transformers import SamModel
from transformers.utils import logging

NAME = "vision_encoder.neck.conv2.weight"


@pytest.fixture(scope="module")
def network():
    return models.load("sam").create("tiny", 0).network


def assert_same(one: torch.nn.Module, other: torch.nn.Module) -> None:
    state = other.state_dict()
    assert one.state_dict().keys() == state.keys() and not one.training
    assert all(torch.equal(value, state[name]) for name, value in one.state_dict().items())


def test_a_network_is_filled_with_its_tensors_and_those_of_others_are_ignored_in_silence(network, tmp_path, capfd):
    state = network.state_dict() | {"memory.weight": torch.zeros(1)}
    assert_same(pretrained.fill(SamModel, network.config, state, tmp_path), network)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("missing", ["mask_decoder.iou_token.weight", NAME])
def test_a_missing_tensor_is_named(network, missing, tmp_path):
    state = network.state_dict()
    del state[missing]
    with pytest.raises(UserError) as error:
        pretrained.fill(SamModel, network.config, state, tmp_path)
    assert str(error.value) == f"{tmp_path}: 1 tensors of SamModel are missing, such as {missing}"


def test_a_tensor_of_another_shape_is_named(network, tmp_path):
    state = network.state_dict() | {NAME: torch.zeros(1, 2, 3, 3)}
    refused(lambda: pretrained.fill(SamModel, network.config, state, tmp_path), tmp_path, NAME, "(1, 2, 3, 3)")


def test_a_checkpoint_of_ours_is_loaded_by_its_prefix_and_does_not_depend_on_the_version(network, tmp_path):
    config = {"network": json.loads(json.dumps(pretrained.configuration(network)))}
    assert "transformers_version" in network.config.to_dict() and "transformers_version" not in config["network"]
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors["decoder.weight"] = torch.zeros(1)
    assert_same(pretrained.load(SamModel, config, tensors, tmp_path), network)


def test_a_folder_of_the_hub_is_converted(network, tmp_path):
    network.save_pretrained(tmp_path)
    assert_same(pretrained.convert(SamModel, tmp_path), network)
    (tmp_path / weights.TENSORS).unlink()
    refused(lambda: pretrained.convert(SamModel, tmp_path), tmp_path / weights.TENSORS, "not found")


@pytest.mark.parametrize("fails, bar", [(False, True), (True, True), (True, False)])
def test_verbosity_and_progress_bar_of_transformers_are_restored(network, fails, bar, tmp_path):
    verbosity, was_enabled = logging.get_verbosity(), logging.is_progress_bar_enabled()
    try:
        logging.set_verbosity_info()
        (logging.enable_progress_bar if bar else logging.disable_progress_bar)()
        if fails:
            refused(lambda: pretrained.fill(SamModel, network.config, {}, tmp_path), "missing")
        else:
            pretrained.fill(SamModel, network.config, network.state_dict(), tmp_path)
        assert logging.get_verbosity() == logging.INFO and logging.is_progress_bar_enabled() is bar
    finally:
        logging.set_verbosity(verbosity)
        (logging.enable_progress_bar if was_enabled else logging.disable_progress_bar)()
