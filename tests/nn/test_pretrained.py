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


@pytest.fixture(scope="module")
def network():
    return models.load("sam").create("tiny", 0).network


def test_a_network_is_filled_with_its_tensors(network, tmp_path):
    state = network.state_dict()
    filled = pretrained.fill(SamModel, network.config, dict(state), tmp_path)
    assert filled.state_dict().keys() == state.keys() and not filled.training
    assert all(torch.equal(value, state[name]) for name, value in filled.state_dict().items())


@pytest.mark.parametrize("missing", ["mask_decoder.iou_token.weight", "vision_encoder.neck.conv2.weight"])
def test_a_missing_tensor_is_named(network, missing, tmp_path):
    state = network.state_dict()
    del state[missing]
    with pytest.raises(UserError) as error:
        pretrained.fill(SamModel, network.config, state, tmp_path)
    assert str(error.value) == f"{tmp_path}: 1 tensors of SamModel are missing, such as {missing}"


def test_a_tensor_of_another_shape_is_named(network, tmp_path):
    name = "vision_encoder.neck.conv2.weight"
    state = network.state_dict() | {name: torch.zeros(1, 2, 3, 3)}
    refused(lambda: pretrained.fill(SamModel, network.config, state, tmp_path), tmp_path, name, "(1, 2, 3, 3)")


def test_tensors_of_other_networks_are_ignored(network, tmp_path):
    state = network.state_dict() | {"memory.weight": torch.zeros(1)}
    filled = pretrained.fill(SamModel, network.config, state, tmp_path)
    assert "memory.weight" not in filled.state_dict()


def test_a_checkpoint_of_ours_is_loaded_by_its_prefix(network, tmp_path):
    config = {"network": json.loads(json.dumps(pretrained.configuration(network)))}
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    loaded = pretrained.load(SamModel, config, {**tensors, "decoder.weight": torch.zeros(1)}, tmp_path)
    assert all(torch.equal(value, tensors[f"network.{name}"]) for name, value in loaded.state_dict().items())


def test_a_folder_of_the_hub_is_converted(network, tmp_path):
    network.save_pretrained(tmp_path)
    converted = pretrained.convert(SamModel, tmp_path)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in converted.state_dict().items())
    (tmp_path / weights.TENSORS).unlink()
    refused(lambda: pretrained.convert(SamModel, tmp_path), tmp_path / weights.TENSORS, "not found")


def test_the_configuration_does_not_depend_on_the_version_of_transformers(network):
    assert "transformers_version" in network.config.to_dict()
    assert "transformers_version" not in pretrained.configuration(network)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("bar", [True, False])
def test_verbosity_and_progress_bar_of_transformers_are_restored(network, fails, bar, tmp_path):
    verbosity, was_enabled = logging.get_verbosity(), logging.is_progress_bar_enabled()
    try:
        logging.set_verbosity_info()
        (logging.enable_progress_bar if bar else logging.disable_progress_bar)()
        state = {} if fails else network.state_dict()
        try:
            pretrained.fill(SamModel, network.config, state, tmp_path)
        except UserError:
            assert fails
        assert logging.get_verbosity() == logging.INFO and logging.is_progress_bar_enabled() is bar
    finally:
        logging.set_verbosity(verbosity)
        (logging.enable_progress_bar if was_enabled else logging.disable_progress_bar)()


def test_nothing_is_printed_while_a_network_is_filled(network, tmp_path, capfd):
    pretrained.fill(SamModel, network.config, network.state_dict() | {"other.weight": torch.zeros(1)}, tmp_path)
    assert capfd.readouterr() == ("", "")
