"""The verdict, on scores that are written down: which runs, which gains, which sentences."""

import json

import numpy as np
import pytest
from promptseg.report import verdict, ways
from small_studies import BOX, EACH, parsed
from verdict_project import Scored

CLICKS, TEXT = {"points": 1, "per": "instance"}, {"text": ["crack"]}
TRAIN = {"epochs": 20, "prompt": CLICKS}
BEFORE = np.full(8, 0.78)
AFTER = BEFORE + [0.08, 0.08, 0.08, 0.06, 0.06, 0.06, 0.08, -0.02]
FLAT = [0.78] * 8


def cracks(tmp_path, after=AFTER, groups=None, baseline=None, **study) -> Scored:
    """Text, clicks, boxes, a floor, and clicks after fine-tuning, on eight images."""
    tuned = ("em", "sam", CLICKS, TRAIN)
    made = parsed(
        zero_shot=[
            ("text", ("em", "clipseg", TEXT)), ("clicks", ("em", "sam", CLICKS)), ("boxes", ("em", "sam", EACH)),
            ("whole", ("em", "whole_image", {})), ("filled", ("em", "filled_box", EACH)),
            ("grid", ("em", "sam", {"automatic": True})),
        ],
        cascade=[("refined", {"dataset": "em", "from": "text", "model": "sam2"})],
        finetune=[("tuned", tuned)],
    )  # fmt: skip
    run = made.finetune["tuned"].model_copy(update={"baseline": baseline, "reported_iou": 0.9})
    project = Scored(tmp_path, made.model_copy(update={"finetune": {"tuned": run}, **study}), train_images=120)
    for name, ious, about in (
        ("text", [0.41] * 8, {"iou_tuned": 0.43, "threshold": 0.3, "false_alarm_rate": 0.5, "false_alarm_area": 0.03,
                              "images_empty": 4}),
        ("clicks", BEFORE, {"prompts_per_image": 16.0}), ("boxes", [0.86] * 8, {"prompts_per_image": 15.5}),
        ("whole", [0.1] * 8, {}), ("filled", [0.6] * 8, {}), ("refined", [0.05] * 8, {}), ("grid", [0.7] * 8, {}),
        ("tuned", after, {"prompts_per_image": 16.0, "iou_ci_low": 0.77}),
    ):  # fmt: skip
        project.add(name, ious, groups, **about)
    return project


def test_the_sentences_say_what_the_scores_show(tmp_path):
    found = cracks(tmp_path).verdict()
    gain = (
        "Fine-tuning gains 0.06: tuned against clicks, which is prompted the same and not trained (95 % +0.03 to +0.09,"
        " paired over 8 groups, p = 0.016); better on 7, equal on 0, worse on 1 of 8 images."
    )
    assert found.sentences == (
        "Good enough (0.80): yes, draw a box around each object 0.86 (boxes; 15.5 boxes an image) without training; or"
        " fine-tuned with 120 images, click once on each object 0.84 (tuned; 16 clicks an image), though its 95 %"
        " interval begins at 0.77.",
        'Nobody clicks or draws: type "crack" 0.41 (text); type "crack", refined by sam2 0.05 (refined).',
        "Somebody clicks or draws in each image: click once on each object 0.78 (clicks; 16 clicks an image); draw a"
        " box around each object 0.86 (boxes; 15.5 boxes an image); fine-tuned with 120 images, click once on each"
        " object 0.84 (tuned; 16 clicks an image).",
        gain,
        "Without training, another way has more: draw a box around each object 0.86 (boxes; 15.5 boxes an image).",
        "At the threshold that was chosen on the validation split, 0.3, text has 0.430; at 0.5, as everywhere else"
        " here, 0.410.",
        "Of 4 test images with nothing to find, text marks something in 50 %, on average 3.0 % of the image.",
        "Floors, without any network: whole 0.10; filled 0.60.",
        "Below their floor: refined 0.05 (floor 0.10).",
        "Automatic masks reach 0.70 (grid) where the ground truth chooses among them; as nobody can use that, it is not"
        " ranked.",
        "Reported elsewhere: tuned 0.90 (here 0.84).",
        "The best were chosen among 5 runs by the scores on the test images themselves, which flatters them; no"
        " interval or p is corrected for that.",
        "Clicks, boxes and masks were taken from the ground truth, which is more exact than a hand.",
    )
    assert (found.dataset, found.worse, found.by_class) == ("em", ("i7",), {})
    assert found.runs == ("text", "refined", "clicks", "boxes", "tuned")


def gain_of(project: Scored) -> str:
    return next(text for text in project.verdict().sentences if " tuned against " in text)


@pytest.mark.parametrize(("after", "groups", "words"), [
    (FLAT, None, "No gain shown: 0.00, "),
    (BEFORE + [0.1, -0.1] * 4, None, "No gain shown: 0.00, "),
    (BEFORE + [0.1, -0.12] * 4, None, "Neither gain nor loss shown: -0.01, "),
    (BEFORE - 0.04 - np.arange(8) / 200, None, "Fine-tuning loses 0.06: "),
    (BEFORE + 0.05, [0, 0, 0, 1, 1, 1, 2, 2], "too few for a test: g0 +0.05; g1 +0.05; g2 +0.05); better on 8, "),
    (BEFORE + 0.05, [0, 0, 0, 1, 1, 2, 3, 4], "No test is possible: +0.05, "),
])  # fmt: skip
def test_no_more_is_claimed_than_interval_and_test_show(tmp_path, after, groups, words):
    assert words in gain_of(cracks(tmp_path, after, groups))


@pytest.mark.parametrize(("level", "words"), [
    (0.87, "no; the best are type \"crack\" 0.41 (text) and draw a box around each object 0.86 "),
    (0.864, "no; the best are type \"crack\" 0.41 (text) and draw a box around each object 0.86 "),
    (0.8604, "no; the best are type \"crack\" 0.41 (text) and draw a box around each object 0.86 "),
    (0.4, "yes, type \"crack\" 0.41 (text) without training; or draw a box "),
])  # fmt: skip
def test_good_enough_is_what_params_say(tmp_path, level, words):
    assert any(
        f"Good enough ({level:.2f}): {words}" in text
        for text in cracks(tmp_path, good_enough=level).verdict().sentences
    )


def test_a_score_that_is_rounded_to_the_level_is_given_in_more_digits(tmp_path):
    project = cracks(tmp_path, [0.797] * 8)
    project.add("boxes", [0.7968] * 8)
    project.add("tuned", [0.7972] * 8)
    assert "click once on each object 0.797 (tuned)" in next(t for t in project.verdict().sentences if "Good" in t)


@pytest.mark.parametrize(("prompt", "about", "way", "words"), [
    ({"clicks": 4, "per": "instance"},
     {"by": "clicks", "steps": [1, 2, 3, 4], "iou": [0.61, 0.7, 0.8, 0.82], "objects": 70, "failures": {"80": 12}},
     "click up to 4 times on each object where the mask is wrong 0.82 (run; 7.5 clicks an image)",
     "By clicks, run has 0.61 after 1, 0.80 after 3, 0.82 after 4; an IoU of 0.80 takes 2.4 clicks an object, where 12"
     " of 70 that do not reach it count as 4."),
    ({"clicks": 1, "start": "box"},
     {"by": "clicks", "steps": [0, 1], "iou": [0.9, 0.95], "objects": 7, "failures": {"80": 0}},
     "draw one box in each image and click up to once in each image where the mask is wrong 0.82 (run; 7.5 prompts an"
     " image)",
     "By clicks, run has 0.90 after 0, 0.95 after 1; an IoU of 0.80 takes 2.4 clicks an object."),
    ({"box": True, "jitter": [0, 0.05]}, {"by": "jitter", "steps": [0.0, 0.05], "iou": [0.82, 0.61]},
     "draw one box in each image 0.82 (run; 7.5 boxes an image)",
     "With boxes whose sides are further out by up to this share of the image's longer side, run has 0.82 at 0, 0.61 at"
     " 0.05."),
    ({"points": 1, "offset": [0.1, 0.2]}, {"by": "offset", "steps": [0.1, 0.2], "iou": [0.82, 0.4]},
     "click once in each image, loosely 0.82 (run; 7.5 clicks an image)",
     "With clicks that miss their place by this share of the object's longer side, run has 0.82 at 0.1, 0.40 at 0.2."),
])  # fmt: skip
def test_a_run_in_several_steps_has_a_sentence_of_its_curve(tmp_path, prompt, about, way, words):
    project = Scored(tmp_path, parsed(zero_shot=[("run", ("em", "sam", prompt))]))
    noc = {"noc_80": 2.4} if "clicks" in prompt else {}
    project.add("run", [0.82] * 6, prompts_per_image=7.5, sweep=about, **noc)
    sentences = project.verdict().sentences
    assert sentences[1] == f"Somebody clicks or draws in each image: {way}." and words in sentences


@pytest.mark.parametrize(("prompt", "words"), [
    ({"exemplars": 1}, "draw a box around an object in each image, 1.5 boxes an image"),
    ({"text": "class", "exemplars": 3, "negatives": 2},
     "type the class names and draw boxes around 3 objects in each image and 2 of other classes, 1.5 boxes an image"),
])  # fmt: skip
def test_exemplars_are_boxes_around_some_objects(prompt, words):
    study = parsed(zero_shot=[("run", ("em", "clipseg", prompt))])
    assert f"{ways.describe(study, 'run', 1)}, {ways.cost(study, 'run', 1.5, 'image')}" == words


def test_the_baseline_may_be_named_even_if_it_is_a_floor(tmp_path):
    assert "tuned against filled, the baseline that params.yaml names (" in gain_of(cracks(tmp_path, baseline="filled"))


def test_without_a_run_of_its_own_it_is_compared_with_the_best_untrained_run_of_its_kind(tmp_path):
    study = parsed(
        zero_shot=[
            ("text", ("em", "clipseg", TEXT)), ("words", ("em", "clipseg", {"text": ["line"]})),
            ("box", ("em", "sam", BOX)),
        ],
        finetune=[("net", ("em", "sam2", {}, {"epochs": 2}))],
    )  # fmt: skip
    project = Scored(tmp_path, study)
    for name, iou in (("text", 0.3), ("words", 0.4), ("box", 0.9), ("net", 0.6)):
        project.add(name, [iou] * 6)
    sentences = project.verdict().sentences
    assert sentences[1] == 'Nobody clicks or draws: type "line" 0.40 (words); fine-tuned, no prompt 0.60 (net).'
    assert "net against words, the best untrained run of this kind" in sentences[3]


def test_each_class_has_sentences_of_its_own(tmp_path):
    study = parsed(
        zero_shot=[("text", ("em", "clipseg", {"text": "class"})), ("points", ("em", "sam", {"points": 2}))],
        finetune=[("tuned", ("em", "clipseg", {"text": "class"}, {"epochs": 2, "prompt": {"text": "class"}}))],
    )
    project = Scored(tmp_path, study)
    project.add("text", [[0.5, 0.1]] * 8, classes=("leaf", "spot"))
    project.add("points", [[0.9, 0.3]] * 8, classes=("leaf", "spot"))
    project.add("tuned", [[0.5, 0.3 + i / 200] for i in range(8)], classes=("leaf", "spot"))
    found = project.verdict()
    assert list(found.by_class) == ["leaf", "spot"]
    assert found.by_class["leaf"][1:3] == (
        "Nobody clicks or draws: type the class names 0.50 (text); fine-tuned, type the class names 0.50 (tuned).",
        "Somebody clicks or draws in each image: click 2 times on each class 0.90 (points).",
    )
    assert "No gain shown: 0.00, tuned against text" in found.by_class["leaf"][3]
    assert "Fine-tuning gains 0.22: tuned against text" in found.by_class["spot"][3]
    assert "p = 0.008); better on 8, equal on 0, worse on 0 of 8 images." in found.by_class["spot"][3]
    assert [words[0][:24] for words in found.by_class.values()] == [
        "Good enough (0.80): yes,",
        "Good enough (0.80): no; ",
    ]


def test_of_several_classes_it_is_said_where_most_images_and_all_pixels_disagree_and_where_few_show_the_class(tmp_path):
    study = parsed(
        zero_shot=[("text", ("em", "clipseg", {"text": "class"}))],
        finetune=[("tuned", ("em", "clipseg", {"text": "class"}, {"epochs": 2, "prompt": {"text": "class"}}))],
    )
    project = Scored(tmp_path, study)
    rare = np.where(np.arange(8) < 3, 0.4, np.nan)
    project.add("text", np.stack([np.full(8, 0.5), rare], axis=1), classes=("leaf", "spot"))
    tuned = np.array([0.9, *[0.48] * 7])
    project.add("tuned", np.stack([tuned, rare + 0.1], axis=1), classes=("leaf", "spot"))
    leaf, spot = (words[-1] for words in project.verdict().by_class.values())
    assert leaf.endswith(
        "better on 1, equal on 0, worse on 7 of 8 images, while the score is that of the pixels of all images together."
    )
    assert "paired over 8 groups, too few of which show it for a test); better on 3, equal on 0, worse on 0" in spot


def test_floors_alone_are_no_verdict(tmp_path):
    project = Scored(tmp_path, parsed(zero_shot=[("whole", ("em", "whole_image", {}))]))
    project.add("whole", [0.5])
    found = project.verdict()
    assert found.sentences == ("No run that somebody could use: only floors, or masks that the ground truth chose.",)
    assert verdict.metrics(project.facts()[0]) == {"good_enough": False}


def test_metrics_are_few_and_flat_and_the_folder_is_replaced(tmp_path):
    project, folder = cracks(tmp_path), tmp_path / "verdicts"
    folder.mkdir()
    (folder / "gone.json").write_text("{}")
    verdict.write_metrics(project.facts(), folder)
    first = (folder / "em.json").read_bytes()
    verdict.write_metrics(project.facts(), folder)
    assert [path.name for path in folder.iterdir()] == ["em.json"] and (folder / "em.json").read_bytes() == first
    values = json.loads(first)
    assert list(values) == sorted(values) and len(values) <= 8
    low, high = values.pop("gain_ci_low"), values.pop("gain_ci_high")
    assert 0.02 < low < values["gain"] < high < 0.1
    assert values == {
        "best_automatic": 0.41, "best_prompted": 0.86, "best_finetuned": 0.84, "gain": 0.06, "p": 0.015625,
        "good_enough": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("support", "words"),
    [(True, "show a support image"), ({"from": "train"}, "show 1 training image once"),
     ({"from": "train", "shots": 5}, "show 5 training images once")],
)  # fmt: skip
def test_support_images_of_the_training_split_are_counted(support, words):
    study = parsed(zero_shot=[("run", ("em", "clipseg", {"support": support}))])
    assert ways.describe(study, "run", 1) == words
