"""What the tiny CLIP and CLIPSeg learn from: groups of pictures, phrases, and examples of what they mean."""

import json

import by_words
import contrast
import numpy as np
import pretraining
import pytest
import settings
import told
import torch
import vocabulary
import worded
import yaml
from imports import STAGES
from promptseg import models
from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.nn import clip, text_encoder, weights
from promptseg.training.running_metrics import Sums
from world import looks
from world.phrases import held_out

RAW = yaml.safe_load((STAGES / "pretrain" / "params.yaml").read_text())


@pytest.fixture(scope="module")
def how():
    """Trainings of seconds."""
    small = {"groups": 2, "val": 1, "group": 4}
    train = {"epochs": 2, "batch": 1, "lr": 1e-3, "parts": ["decoder"], "optimizer": "adamw", "loss": "dice_bce"}
    return settings.Told.model_validate({**RAW["clipseg"], **small, "train": train})


@pytest.fixture(scope="module")
def groups(how):
    return [told.group(0, "train", number, how) for number in range(3)]


@pytest.fixture(scope="module")
def clip(how, tmp_path_factory):
    """A checkpoint of CLIP."""
    folder = tmp_path_factory.mktemp("clip")
    pretraining.train("clip", by_words.clip, how, 0, None, folder / "state", folder / "clip", folder / "curve.csv")
    return folder / "clip"


def test_a_group_is_the_same_wherever_it_is_drawn_and_others_are_others(how, groups):
    again = told.group(0, "train", 1, how)
    assert [one.picture.image.tobytes() for one in again.seen] == [
        one.picture.image.tobytes() for one in groups[1].seen
    ]
    assert [[one.text for one in row] for row in again.phrases] == [
        [one.text for one in row] for row in groups[1].phrases
    ]
    assert groups[0].seen[0].picture.image.tobytes() != groups[1].seen[0].picture.image.tobytes()


def test_phrases_are_true_and_false_as_they_say_and_none_is_held_out(groups):
    truths = []
    for group in groups:
        for seen, said in zip(group.seen, group.phrases, strict=True):
            for phrase in said:
                assert not held_out(phrase.words)
                truths.append(seen.holds(phrase.words))
                assert truths[-1] is bool(phrase.things)
    assert {True, False} == set(truths)


def test_a_thing_by_itself_says_nothing_of_its_size_and_place(groups):
    things = [thing for group in groups for thing in group.things]
    assert things
    for thing in things:
        (look,) = thing.looks
        assert thing.mask.sum() == look.pixels and look.sure and not look.sure & told.BY_PLACE
        one = sorted(look.sure)[0]
        assert thing.holds((one,)) is True and thing.holds((one, "left")) is None
        slot = next(words for words in looks.SLOTS.values() if one in words)
        others = [word for word in slot if word not in look.maybe]
        assert not others or thing.holds((others[0],)) is False


def test_an_example_is_another_picture_that_surely_shows_it(groups):
    found = 0
    for group in groups:
        for number, said in enumerate(group.phrases):
            for phrase in said:
                if shown := group.shown(phrase, number):
                    image, mask = shown
                    (other,) = [one for one in group.seen if one.picture.image is image]
                    assert other is not group.seen[number] and other.holds(phrase.words)
                    assert mask.mean() >= told.SHOWN and mask.dtype == bool
                    found += 1
    assert found


def test_each_true_pair_is_told_apart_from_the_false_ones_alone():
    scores = torch.tensor([[2.0, 1.0, 5.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    true = torch.tensor([[True, True, False, False], [False, False, False, False]])
    false = torch.tensor([[False, False, False, True], [True, True, True, True]])
    (loss,) = contrast.told_apart(
        scores, true, false
    ).tolist()  # the third may be either, the second row has no true one
    assert loss == pytest.approx((np.log1p(np.exp(-2.0)) + np.log1p(np.exp(-1.0))) / 2)


def test_every_word_of_the_world_is_a_token_and_others_are_spelt():
    made = vocabulary.files()
    tokenizer, vocab = text_encoder.tokenizer(made), json.loads(made["vocab.json"])
    assert vocabulary.files() == made and sorted(vocab.values()) == list(range(vocabulary.size()))
    assert all(len(tokenizer.tokenize(word)) == 1 for word in vocabulary.words())
    assert len(tokenizer.tokenize("mitochondria")) > 1 and len(tokenizer("dark spots").input_ids) == 4


def test_clip_is_written_as_the_hub_has_it_and_what_stands_on_it_loads(clip):
    network, tokenizer = clip.convert(clip)
    assert {value.dtype for value in weights.tensors(clip / "model.safetensors").values()} == {torch.float16}
    assert network.config.text_config.eos_token_id == vocabulary.size() - 1 and tokenizer == vocabulary.files()


def test_clipseg_learns_its_decoder_on_that_clip(clip, how, tmp_path):
    paths = tmp_path / "state", tmp_path / "made", tmp_path / "curve.csv"
    pretraining.train("clipseg", by_words.clipseg, how, 0, clip, *paths)
    made, tensors = models.load("clipseg").load(tmp_path / "made", 1), weights.tensors(clip / "model.safetensors")
    assert all(torch.equal(value, tensors[name].float()) for name, value in made.network.clip.state_dict().items())
    assert len((tmp_path / "curve.csv").read_text().splitlines()) == 3


def test_what_may_or_may_not_be_meant_counts_for_no_phrase_but_its_own(how, groups, clip):
    segmenter = by_words.clipseg(how, 0, clip, Processes()).segmenter
    decoding = worded.Decoding(segmenter, params.Train(epochs=1, parts=["decoder"], loss="bce"))
    asked = [one for group in groups for one in decoding._asked(group)]
    for one, said in zip(asked, (row for group in groups for row in group.phrases), strict=True):
        target, weight = one.targets(32)
        assert target.shape == weight.shape == (len(said), 32, 32) and len(one.prompts) == len(said)
        assert all(prompt.text and (prompt.mix is None) == (prompt.example is None) for prompt in one.prompts)
        for phrase, answer in zip(said, target):
            assert phrase.things or not answer.any()
    split = by_words._groups(segmenter, how, 0, Processes())[0]
    losses = decoding.losses(split, groups, 1, Sums())
    assert sum(map(len, losses)) == sum(len(said) for group in groups for said in group.phrases)
