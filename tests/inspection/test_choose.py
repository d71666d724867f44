"""Runs that are chosen, in the order of their worth, within the time there is."""

from dataclasses import replace
from pathlib import Path

import pytest
from promptseg.inspection import choose, tiling
from promptseg.inspection.choose import Added
from promptseg.inspection.contents import ClassContents, Contents, Duplicates
from promptseg.inspection.costs import Speed
from promptseg.inspection.description import Description
from promptseg.inspection.look import Findings

FAST = dict.fromkeys(("sam2", "clipseg", "unet"), Speed(0.001, 0.001, 0.001))
SLOW = {"sam2": Speed(2.0, 0.1, 0.3), "clipseg": Speed(0.5, 0.05, 0.2), "unet": Speed(0.0, 0.3, 1.0)}
ALL = [
    "whole", "filled-box", "random", "box", "point", "text", "decoder", "text-sam2", "text-search", "text-best",
    "shots-1", "decoder-half", "decoder-quarter", "unet", "text-decoder", "shots-5", "lora",
]  # fmt: skip


def findings(train=40, test=40, side=512, area=2000.0, classes=("crack",), groups=None, **entry) -> Findings:
    """A folder with so many images. groups: those of the training split; None: each image is one."""
    one = ClassContents(images=train + test, instances=3 * (train + test), median_area=area, share=0.1)
    description = Description(Path("images"), "images", {"reader": "folder", **entry}, classes, True)
    contents = Contents(measured=train + test, classes=[one] * len(classes), sides=[(side, side)])
    return Findings(
        description, train + test, {"train": train, "val": min(train, 5), "test": test}, (), train + test, "image",
        train if groups is None else groups, ((side, side),) * 3, contents, Duplicates(0, 0, 0), classes,
        dict.fromkeys(classes, one),
    )  # fmt: skip


def suffixes(runs) -> list[str]:
    return [run.name.removeprefix("images-") for run in runs]


def test_with_enough_time_every_kind_of_run_is_there():
    plan = choose.plan(findings(), [["dark line"]], FAST, 1.0)
    assert suffixes(plan.runs) == ALL and not plan.left_out
    by_name = {name: run.entry for name, run in zip(suffixes(plan.runs), plan.runs, strict=True)}
    assert by_name["point"]["prompt"] == {"points": 1, "per": "instance"}
    assert by_name["text"] == {"dataset": "images", "model": "clipseg", "prompt": {"text": ["crack"]}}
    assert by_name["text-sam2"]["from"] == "images-text"
    assert by_name["text-search"] == {
        "dataset": "images", "model": "clipseg", "phrases": ["crack", "dark line"], "templates": choose.TEMPLATES,
    }  # fmt: skip
    assert len(choose.TEMPLATES) == 3 and by_name["text-best"]["prompt"] == {"search": "images-text-search"}
    assert by_name["shots-5"]["prompt"] == {"support": {"from": "train", "shots": 5}}
    assert by_name["lora"]["train"]["trainable"] == ["lora"]
    shares = [by_name[f"decoder{part}"]["train"].get("train_fraction", 1.0) for part in ("", "-half", "-quarter")]
    assert shares == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("hours", [0.02, 0.1, 0.25, 0.5, 1.0, 4.0])
def test_the_study_keeps_to_its_time_and_says_what_it_leaves_out(hours):
    plan = choose.plan(findings(), [], SLOW, hours)
    assert plan.seconds <= 3600 * hours
    assert sorted(suffixes((*plan.runs, *plan.left_out))) == sorted(ALL)
    kept = suffixes(plan.runs)
    assert {"whole", "filled-box", "random"} <= set(kept)
    for name, needed in (("decoder-half", "decoder"), ("text-best", "text-search")):
        assert name not in kept or needed in kept
    assert all(run.seconds > 0 for run in plan.left_out)


def test_more_time_never_gives_fewer_runs_of_as_many_images():
    counts = [len(choose.plan(findings(), [], SLOW, hours).runs) for hours in (0.5, 1.0, 2.0, 8.0)]
    assert counts == sorted(counts)


def test_a_large_folder_is_cut_to_fewer_images_rather_than_to_floors():
    plan = choose.plan(findings(train=5000, test=5000), [], SLOW, 1.0)
    assert plan.max_images in (50, 100, 200) and {"box", "point", "text", "decoder"} <= set(suffixes(plan.runs))


def test_images_are_not_cut_where_that_saves_nothing():
    assert choose.plan(findings(train=20, test=20), [], SLOW, 0.01).max_images is None


@pytest.mark.parametrize(("groups", "parts"), [(1, []), (2, ["half"]), (3, ["half", "quarter"])])
def test_shares_of_few_groups_that_would_be_the_same_images_are_left_out(groups, parts):
    names = suffixes(choose.plan(findings(groups=groups), [], FAST, 1.0).runs)
    assert [name.removeprefix("decoder-") for name in names if name.startswith("decoder-")] == parts


def test_without_training_images_nothing_is_trained():
    plan = choose.plan(findings(train=0), [["dark line"]], FAST, 1.0)
    assert suffixes(plan.runs) == ALL[:6] + ["text-sam2", "text-dark-line"]


@pytest.mark.parametrize(
    ("side", "area", "tile"),
    [
        (512, 20.0, None),
        (1024, 20.0, None),
        (4096, 100.0, 256),
        (4096, 60.0**2, 512),
        (4096, 110.0**2, 1024),
        (4096, 200.0**2, None),
    ],
)
def test_large_images_with_small_instances_are_cut_into_tiles(side, area, tile):
    found = tiling.decide(findings(side=side, area=area))
    assert found.tile == tile and "SAM 2 sees" in found.why


def test_the_tiles_of_an_official_dataset_stay():
    assert tiling.decide(findings(tile=256)).tile == 256


def test_features_are_computed_once_for_all_runs_of_a_model():
    plan = choose.plan(findings(), [], SLOW, 9.0)
    seconds = dict(zip(suffixes(plan.runs), (run.seconds for run in plan.runs), strict=True))
    assert seconds["box"] - seconds["point"] == pytest.approx(40 * 2.0)


def test_several_classes_have_a_phrase_each():
    found = replace(findings(classes=("leaf", "spot")), words=("leaf", "brown spot"))
    plan = choose.plan(found, [["a leaf", "a stain"]], FAST, 1.0)
    prompts = [run.entry["prompt"]["text"] for run in plan.runs if "text" in run.entry.get("prompt", {})]
    (search,) = (run.entry for run in plan.runs if run.section == "search")
    assert prompts == [["leaf", "brown spot"]] * 2
    assert search["phrases"] == [["leaf", "brown spot"], ["a leaf", "a stain"]]


def test_a_thorough_study_adds_a_search_for_the_number_of_clicks_and_seeds_and_takes_its_time():
    plan, short = (choose.plan(findings(), [], SLOW, 99.0, thorough) for thorough in (True, False))
    by_name = {name: run for name, run in zip(suffixes(plan.runs), plan.runs, strict=True)}
    assert {"points-search", "points-best"} <= set(suffixes(plan.runs)) - set(suffixes(short.runs))
    assert [each["points"] for each in by_name["points-search"].entry["candidates"]] == [1, 2, 3, 5]
    assert by_name["clicks"].entry["prompt"]["clicks"] == choose.CLICKS and "clicks" not in suffixes(short.runs)
    assert by_name["box-jitter"].entry["prompt"]["jitter"] == choose.JITTER
    seeded = {name for name, run in by_name.items() if "seeds" in str(run.entry)}
    assert seeded == {"point", "decoder"} and by_name["decoder"].entry["train"]["seeds"] == choose.SEEDS
    seconds = {name: run.seconds for name, run in zip(suffixes(short.runs), short.runs, strict=True)}
    assert by_name["point"].seconds == pytest.approx(3 * seconds["point"])
    assert by_name["decoder"].seconds > 2 * seconds["decoder"]


ADDED = {
    "sam_x": Added(frozenset({"points", "box", "box + points", "mask", "clicks"})),
    "words_x": Added(frozenset({"text"})), "few_x": Added(frozenset({"support"})), "box_x": Added(frozenset({"box"})),
}  # fmt: skip


def test_further_models_get_the_runs_that_they_take_prompts_for():
    speeds = FAST | dict.fromkeys(ADDED, Speed(1.0, 0.5, 0.0))
    plan = choose.plan(findings(), [], speeds, 1.0, added=ADDED)
    own = [run for run in plan.runs if run.name.removeprefix("images-") not in ALL]
    assert suffixes(own) == [
        "box-sam_x", "point-sam_x", "text-words_x", "words_x-sam2", "shots-1-few_x", "shots-5-few_x", "box-box_x",
    ]  # fmt: skip
    by_name = dict(zip(suffixes(own), own, strict=True))
    assert by_name["words_x-sam2"].entry == {"dataset": "images", "from": "images-text-words_x", "model": "sam2"}
    assert by_name["words_x-sam2"].needs == "images-text-words_x"
    assert by_name["shots-5-few_x"].entry["prompt"] == {"support": {"from": "train", "shots": 5}}
    seconds = {name: run.seconds for name, run in by_name.items()}
    assert seconds["box-sam_x"] - seconds["point-sam_x"] == pytest.approx(40), "features are computed once"
    assert (seconds["shots-1-few_x"], seconds["shots-5-few_x"]) == (40 + 20, 100)
    assert [name for name in suffixes(plan.runs) if name in ALL] == ALL


@pytest.mark.parametrize("classes", [("crack",), ("crack", "stain", "rust")])
def test_a_detector_gives_a_cascade_its_boxes_and_may_read_all_classes_at_once(classes):
    speeds = FAST | {"boxes_x": Speed(1.0, 0.5, 0.0)}
    plan = choose.plan(
        findings(classes=classes), [], speeds, 9.0, added={"boxes_x": Added(frozenset({"text"}), True, True)}
    )
    by_name = dict(zip(suffixes(plan.runs), plan.runs, strict=True))
    together = {"together": True} if len(classes) > 1 else {}
    assert by_name["text-boxes_x"].entry["prompt"] == {"text": list(classes), **together}
    assert by_name["text-boxes_x"].seconds == pytest.approx(40 + 20)
    assert by_name["boxes_x-sam2"].entry["prompt"] == {"by": "box"}


def test_without_training_images_no_model_is_shown_any():
    speeds = FAST | dict.fromkeys(ADDED, Speed(1.0, 0.5, 0.0))
    runs = choose.plan(findings(train=0), [], speeds, 1.0, added=ADDED).runs
    assert not [name for name in suffixes(runs) if "few_x" in name] and "text-words_x" in suffixes(runs)


def test_names_of_runs_of_a_further_model_stay_apart_where_they_are_cut():
    found = findings()
    long = replace(found, description=replace(found.description, name="a" * 20))
    added = {
        "grounding_dino": Added(frozenset({"text"}), True, True),
        "sam3_tracker": Added(frozenset({"points", "box"})),
        "seggpt": ADDED["few_x"],
    }
    plan = choose.plan(long, [], FAST | dict.fromkeys(added, Speed(0.1, 0.1, 0.1)), 9.0, added=added)
    names = [run.name for run in plan.runs]
    assert len(set(names)) == len(names) and max(map(len, names)) <= 41
