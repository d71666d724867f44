"""Checks of train settings against the registries and the model's defaults."""

import pytest
from promptseg.core.train_config import Train
from promptseg.models.unet import Unet
from promptseg.training import train_settings
from promptseg.training.registry import Registry
from refusing import refused

COMPLETE = {"epochs": 1, "trainable": ["all"], "loss": "dice", "batch_size": 2, "lr": 0.1}


def test_complete_settings_pass_and_a_model_s_defaults_complete_them():
    train_settings.check(Train(**COMPLETE, optimizer="muon"))
    train_settings.check(Train(epochs=1).completed(Unet.TRAIN_DEFAULTS))


@pytest.mark.parametrize("key", ["trainable", "loss", "batch_size", "lr"])
def test_a_missing_key_is_named(key):
    config = Train(**{name: value for name, value in COMPLETE.items() if name != key})
    refused(lambda: train_settings.check(config), f"params.yaml: train.{key}: missing")


@pytest.mark.parametrize("key, known", [("loss", "dice_focal"), ("optimizer", "adam, adamw, muon")])
def test_an_unknown_name_lists_the_known_ones(key, known):
    config = Train(**COMPLETE | {key: "best"})
    refused(lambda: train_settings.check(config), f"params.yaml: train.{key}: unknown {key} 'best'", known)


def test_a_function_is_registered_where_it_is_defined():
    registry = Registry("train.thing")

    @registry.register("one")
    def first():
        return 1

    assert first() == 1 and registry.find("one") is first
    refused(lambda: registry.find("two"), "params.yaml: train.thing: unknown thing 'two'; known: one")
