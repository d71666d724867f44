"""Remarks of the verdict: what a search found, whether more labels would help, words, stand-ins."""

import numpy as np
import pytest
from promptseg.core.searched import Searched
from promptseg.report import leaderboard, searches
from refusing import refused
from small_studies import parsed
from verdict_project import Scored

TEXT = {"text": ["crack"]}


@pytest.mark.parametrize(("score", "drop", "caution"), [
    (0.45, "-0.05", ""),
    (0.494, "-0.09", ""),
    (0.5, "-0.10", " So large a drop says that 7 validation images are too few to choose by, or unlike these."),
    (0.3, "+0.10", ""),
])  # fmt: skip
def test_what_a_search_found_is_said_with_the_drop_and_its_price(tmp_path, score, drop, caution):
    ranking = [{"prompt": '"line"', "iou": score, "images": 7}, {"prompt": '"crack"', "iou": 0.2, "images": 7}]
    found = {
        "prompt": {"text": ["line"]}, "score": score, "candidates": 2, "encoder_passes": 1200, "decoder_passes": 2400,
        "ranking": ranking,
    }  # fmt: skip
    about = {"dataset": "em", "model": "clipseg"}
    study = parsed(zero_shot=[("text", ("em", "clipseg", TEXT))]).model_copy(
        update={"searched": {"best": Searched(**about, prompt={"search": "words"})}}
    )
    project = Scored(tmp_path, study)
    project.add("text", [0.3] * 6)
    project.add("best", [0.4] * 6, oracle=False)
    refused(lambda: searches.with_winners(study, project.scores), "best.parquet: of a run without a search")
    project.add("best", [0.4] * 6, oracle=False, search=found)
    project.study = searches.with_winners(study, project.scores)
    rows = {row["run"]: row for row in leaderboard.leaderboard(project.study, project.scores)}
    assert rows["best"]["prompt"] == '"line", best of 2' and rows["text"]["prompt"] == '"crack"'
    sentences = project.verdict().sentences
    assert sentences[1] == 'Nobody clicks or draws: type "line" 0.40 (best).'
    assert (
        f'The prompt of best, "line", is the best of 2 on the validation images: {score:.3f} there, 0.400 on the test'
        f" images ({drop}); the search took 1,200 forward passes of the encoder and 2,400 of the decoder.{caution}"
    ) in sentences


LABELS = [(name, ("em", "clipseg", TEXT, {"epochs": 2, "prompt": TEXT, "train_fraction": fraction}))
          for name, fraction in (("quarter", 0.25), ("half", 0.5), ("all", 1.0))]  # fmt: skip


@pytest.mark.parametrize(("steps", "absent", "labels", "listens"), [
    (0.03 + np.arange(8) / 1000, 0.02, "+0.03 (95 % +0.03 to +0.04; half to all): more labels are likely to help.",
     "It still knows words: all marks 2.0 % of an image for a phrase that is not there (3.0 % before training)."),
    (np.arange(8) % 2 / 500, 0.34, "0.00 (95 % 0.00 to 0.00; half to all): there are enough labels.",
     "all marks 34 % of an image for a phrase that is not there (3.0 % before training): it listens to words less than"
     " it did."),
    (np.arange(8) % 3 / 500 - 0.002, 0.06, "(95 % 0.00 to 0.00; half to all): there are enough labels.",
     "It still knows words"),
    (np.arange(8) % 3 / 10 - 0.09, 0.07, "half to all): whether more labels would help is not clear.",
     "it listens to words less"),
])  # fmt: skip
def test_more_labels_and_words(tmp_path, steps, absent, labels, listens):
    """Runs with a quarter, half and all of the training groups; whether the model still tells phrases apart."""
    project = Scored(tmp_path, parsed(zero_shot=[("text", ("em", "clipseg", TEXT))], finetune=LABELS), train_images=40)
    project.add("text", [0.2] * 8, absent_phrase_area=0.03)
    for name, iou in (("quarter", [0.4] * 8), ("half", [0.5] * 8), ("all", 0.5 + steps)):
        project.add(name, iou, absent_phrase_area=absent, iou_mean=0.6 if name == "all" else 0.5)
    told = project.verdict().sentences
    (doubled,) = (text for text in told if text.startswith("From 50 % to 100 % of the training groups"))
    assert labels in doubled and sum(listens in text for text in told) == 1


def test_shares_of_so_few_groups_that_both_runs_are_the_same_say_nothing_of_more_labels(tmp_path):
    project = Scored(tmp_path, parsed(zero_shot=[("text", ("em", "clipseg", TEXT))], finetune=LABELS), train_images=5)
    project.add("text", [0.2] * 8)
    for name in ("quarter", "half", "all"):
        project.add(name, np.arange(8) / 10)
    told = [text for text in project.verdict().sentences if "training groups" in text]
    assert told == ["half and all are equal: 50 % of so few training groups are 100 % of them."]


def test_it_is_said_which_networks_and_images_are_stand_ins(tmp_path):
    study = parsed(zero_shot=[("points", ("em", "sam", {"points": 1})), ("text", ("em", "clipseg", {"text": ["a"]}))])
    models = study.models | {"clipseg": study.models["clipseg"].model_copy(update={"source": "tiny"})}
    project = Scored(tmp_path, study.model_copy(update={"models": models}))
    for name in ("points", "text"):
        project.add(name, [0.5] * 6)
    sentences = project.verdict().sentences
    tiny = "Tiny networks took the place of the released clipseg: their scores say nothing of these."
    assert tiny in sentences and not any("generated stand-ins" in sentence for sentence in sentences)
