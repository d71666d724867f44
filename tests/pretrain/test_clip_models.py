"""Training of CLIP and CLIPSeg in stages/pretrain: tokenizer, losses and checkpoints."""

import itertools
import json

import clip_models
import numpy as np
import phrase_groups
import pretraining
import pytest
import torch
import vocabulary
from promptseg import models, tiny
from promptseg.core.train_config import Train
from promptseg.nn import clip, text_encoder, weights
from promptseg.training.running_metrics import MetricSums
from promptseg.training.trainer import Outputs
from synthetic_scenes import clip_training


@pytest.fixture(scope="module")
def clip_checkpoint(tmp_path_factory):
    """A trained checkpoint of CLIP."""
    folder = tmp_path_factory.mktemp("clip")
    outputs = Outputs(folder / "state", folder / "clip", folder / "curve.csv")
    pretraining.train("clip", clip_models.build_clip, clip_training(), 0, outputs)
    return folder / "clip"


def test_positive_pairs_are_contrasted_with_negative_ones_alone():
    scores = torch.tensor([[2.0, 1.0, 5.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    positive = torch.tensor([[True, True, False, False], [False, False, False, False]])
    negative = torch.tensor([[False, False, False, True], [True, True, True, True]])
    # The third pair is uncertain; the second row has no positive pair.
    (loss,) = clip_models.multi_positive_loss(scores, positive, negative).tolist()
    assert loss == pytest.approx((np.log1p(np.exp(-2.0)) + np.log1p(np.exp(-1.0))) / 2)


def test_each_word_of_the_phrases_is_one_token_and_others_are_letters():
    files = vocabulary.files()
    tokenizer, vocab = text_encoder.tokenizer(files), json.loads(files["vocab.json"])
    assert vocabulary.files() == files and sorted(vocab.values()) == list(range(len(vocab)))
    assert all(len(tokenizer.tokenize(word)) == 1 for word in vocabulary.words())
    assert len(tokenizer.tokenize("mitochondria")) > 1 and len(tokenizer("dark spots").input_ids) == 4
    for name, (file, content) in itertools.product(("clip", "clipseg"), files.items()):
        assert (tiny.FOLDER / name / file).read_bytes() == content, "as shipped"


def test_clip_checkpoint_has_the_layout_of_the_hub(clip_checkpoint):
    network, tokenizer = clip.convert(clip_checkpoint)
    assert {value.dtype for value in weights.tensors(clip_checkpoint / "model.safetensors").values()} == {torch.float16}
    assert network.config.text_config.eos_token_id == network.config.text_config.vocab_size - 1
    assert tokenizer == vocabulary.files()


def test_clipseg_trains_its_decoder_on_frozen_clip(clip_checkpoint, tmp_path):
    outputs = Outputs(tmp_path / "state", tmp_path / "clipseg", tmp_path / "curve.csv")
    pretraining.train("clipseg", clip_models.build_clipseg, clip_training(), 0, outputs, clip_checkpoint)
    segmenter = models.load("clipseg").load(tmp_path / "clipseg", 1)
    tensors = weights.tensors(clip_checkpoint / "model.safetensors")
    state = segmenter.network.clip.state_dict()
    assert all(torch.equal(value, tensors[name].float()) for name, value in state.items())
    assert len((tmp_path / "curve.csv").read_text().splitlines()) == 2


def test_uncertain_pixels_are_ignored_for_their_phrase_alone(clip_checkpoint):
    config = clip_training()
    groups = [phrase_groups.sample_group(0, "train", index, config) for index in range(2)]
    setup = clip_models.build_clipseg(config, 0, clip_checkpoint)
    samples = [each for group in groups for each in clip_models.phrase_targets(setup.segmenter.transform, group)]
    described = [row for group in groups for row in zip(group.images, group.phrases, strict=True)]
    ignored = []
    for sample, (image, phrases) in zip(samples, described, strict=True):
        target, weight = sample.targets(32)
        assert target.shape == weight.shape == (len(phrases), 32, 32)
        for i, (prompt, phrase) in enumerate(zip(sample.prompts, phrases, strict=True)):
            support = prompt.get("support")
            assert prompt.get("text").phrase == phrase.text and (support is None or 0 < support.weight < 1)
            assert phrase.objects or not target[i].any()
            uncertain = (phrase.mask(image.scene) == 255).mean()
            assert abs((weight[i] == 0).mean() - uncertain) < 0.02 + 0.5 * uncertain
            ignored.append(uncertain > 0.02)
    assert any(ignored) and not all(ignored)
    train = Train(epochs=1, trainable=["decoder"], loss="bce")
    losses = setup.losses(setup.segmenter, train, setup.splits[0], groups, 1, MetricSums())
    assert sum(map(len, losses)) == len(ignored)
