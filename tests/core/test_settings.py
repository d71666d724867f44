"""Errors in params.yaml: the key as it is written there, and each mistake once."""

import pytest
from promptseg.core.params import Dataset
from promptseg.core.runs import FineTune, Run
from promptseg.core.settings import validate
from promptseg.core.study import Study
from refusing import refused

TRAIN = {"dataset": "em", "model": "sam", "prompt": {}}


@pytest.mark.parametrize(
    "train, message",
    [
        ({"batch_size": 0}, "r.train.batch_size: Input should be greater than 0 or 'auto', got 0"),
        ({"batch_size": "all"}, "r.train.batch_size: Input should be a valid integer or 'auto', got 'all'"),
        (
            {"batch_size": 0, "lr": -1.0},
            "r.train.batch_size: Input should be greater than 0 or 'auto', got 0 (and 1 more)",
        ),
        ({"lora": {"rank": 0}}, "r.train.lora.rank: Input should be greater than 0, got 0"),
        ({"augment": {"flip": ["up"]}}, "r.train.augment.flip.0: Input should be 'horizontal' or 'vertical', got 'up'"),
        ({"keep": "worst"}, "r.train.keep: Input should be 'best' or 'last', got 'worst'"),
    ],
)
def test_a_setting_of_training(train, message):
    refused(lambda: validate(FineTune, {**TRAIN, "train": {"epochs": 1, **train}}, "params.yaml", "r"), message)


@pytest.mark.parametrize(
    "prompt, message",
    [
        ({"automatic": 3}, "r.prompt.automatic: Input should be a valid boolean or a valid dictionary"),
        ({"automatic": {"iou": "x"}}, "r.prompt.automatic.iou: Input should be a valid number, got 'x'"),
        ({"automatic": {"iou": "", "nms": ""}}, "r.prompt.automatic.iou: Input should be a valid number, got '' (and "),
        ({"automatic": {"depth": 1}}, "r.prompt.automatic.depth: Extra inputs are not permitted"),
        ({"text": 3}, "r.prompt.text: Input should be a valid list or 'class' or 'caption', got 3"),
        ({"text": ["a", 1]}, "r.prompt.text.1: Input should be a valid string, got 1"),
    ],
)  # fmt: skip
def test_a_prompt(prompt, message):
    refused(lambda: validate(Run, {**TRAIN, "prompt": prompt}, "params.yaml", "r"), f"params.yaml: {message}")


@pytest.mark.parametrize(
    "dataset, message",
    [
        ({"classes": 3}, "d.classes: Input should be a valid list or a valid dictionary, got 3"),
        ({"classes": {"a": ["b"], "c": "d"}}, "d.classes.c: Input should be a valid list, got 'd'"),
        ({"classes": ["a", 3]}, "d.classes.1: Input should be a valid string, got 3"),
        ({"raw": None}, "d.raw: Input should be a valid string, got None"),
        ({"tiles": 3}, "d.tiles: Extra inputs are not permitted (known: raw, reader, options"),
    ],
)
def test_a_dataset(dataset, message):
    refused(lambda: validate(Dataset, {"raw": "r", "reader": "em", **dataset}, "params.yaml", "d"), message)


@pytest.mark.parametrize("name, key", [(10, "10"), (None, "None"), (True, "1")])
def test_a_key_that_yaml_takes_for_something_else(name, key):
    raw = {"datasets": {name: {"raw": "r", "reader": "em"}}, "models": {}}
    refused(lambda: validate(Study, raw, "params.yaml"), f"params.yaml: datasets.{key}: Input should be a valid string")


def test_a_missing_key_is_named():
    message = "params.yaml: r.train.epochs: Field required"
    refused(lambda: validate(FineTune, {**TRAIN, "train": {}}, "params.yaml", "r"), message)
    refused(lambda: validate(Dataset, {"raw": "r"}, "params.yaml"), "params.yaml: reader: Field required")
