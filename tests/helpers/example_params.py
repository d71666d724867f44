"""A small valid params.yaml, and variants of it that are refused."""

import copy

import pytest
from promptseg.core import settings, study
from promptseg.core.errors import UserError

GOOD = {
    "download": {"em": {"reader": "em"}},
    "datasets": {"em": {"raw": "data/raw/em", "reader": "em", "tile": 256}},
    "models": {"sam": {}, "unet": {}},
    "zero_shot": {"em-sam": {"dataset": "em", "model": "sam", "prompt": {"points": 1}}},
    "cascade": {"em-cascade": {"dataset": "em", "from": "em-sam", "model": "sam"}},
    "finetune": {
        "em-sam-20": {
            "dataset": "em",
            "model": "sam",
            "prompt": {"box": True},
            "train": {"prompt": {"points": 1}, "epochs": 20, "trainable": ["mask_decoder"]},
        }
    },
}
PROMPT = "zero_shot/em-sam/prompt"
CASCADE = "cascade/em-cascade"
TRAIN = "finetune/em-sam-20/train"


def changed(key, value, base=GOOD):
    """A copy of a params.yaml with the value at `a/b/c` replaced or added."""
    raw = copy.deepcopy(base)
    *sections, last = key.split("/")
    inner = raw
    for section in sections:
        inner = inner[section]
    inner[last] = value
    return raw


def parse(raw):
    return settings.validate(study.Study, raw, "params.yaml")


def refusal(function, *args):
    """The message of the UserError, which is one line."""
    with pytest.raises(UserError) as caught:
        function(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)
