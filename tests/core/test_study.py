"""params.yaml as a whole: names, references between entries, and the project's own file."""

import pytest
import yaml
from example_params import CASCADE, GOOD, TRAIN, changed, parse, refusal
from promptseg import datasets, models
from promptseg.core import params, study


def test_the_project_s_own_file_loads(root):
    given = study.load(root / "params.yaml")
    assert given.download and given.datasets and given.models
    assert given.zero_shot and given.cascade and given.finetune
    assert {entry.reader for entry in (*given.datasets.values(), *given.download.values())} <= set(datasets.names())
    assert set(given.models) <= set(models.names())


def test_defaults_are_those_of_the_full_study_and_runs_are_found_by_name():
    given = parse(GOOD)
    assert (given.scale, given.seed) == (params.Scale(data="official", checkpoints="official"), 0)
    assert (given.datasets["em"].tile, given.datasets["em"].overlap) == (256, 0)
    assert [*given.runs] == ["em-sam", "em-cascade", "em-sam-20"]
    assert given.run("em-sam").prompt.points == 1
    assert given.run("em-cascade").source == "em-sam"
    assert given.run("em-sam-20").train.epochs == 20
    assert "unknown run 'x'; known: em-sam, em-cascade, em-sam-20" in refusal(given.run, "x")


@pytest.mark.parametrize("section", ["download", "datasets", "models", "zero_shot", "cascade", "finetune"])
def test_a_bad_name_is_refused(section):
    some = next(iter(GOOD[section].values()))
    for name in ("", "Em", "-em", "_em", "e m", "em;ls", "$(ls)", "../../x", "em\n", "é", "a/b", "a.b", "a" * 42):
        message = refusal(parse, changed(section, {**GOOD[section], name: some}))
        assert message.startswith(f"params.yaml: {section}: {name!r} is no valid name")


def test_a_good_name_is_accepted_unless_yaml_takes_it_for_something_else(tmp_path):
    entry, path = GOOD["datasets"]["em"], tmp_path / "params.yaml"
    for name in ("a", "0", "a" * 41, "010", "em-sam_2"):
        assert parse(changed(f"datasets/{name}", entry)).datasets[name] == params.Dataset(**entry)
    for name in ("010", "null", "yes"):
        path.write_text(yaml.safe_dump({"datasets": GOOD["datasets"], "models": {}}).replace("\n  em:", f"\n  {name}:"))
        assert "datasets." in refusal(study.load, path)


@pytest.mark.parametrize(
    "key",
    [
        "datasets", "models", "download/em/reader", "datasets/em/raw", "datasets/em/reader", "zero_shot/em-sam/dataset",
        "zero_shot/em-sam/model", "zero_shot/em-sam/prompt", f"{CASCADE}/dataset", f"{CASCADE}/from",
        f"{CASCADE}/model", "finetune/em-sam-20/train", f"{TRAIN}/epochs",
    ],
)  # fmt: skip
def test_a_missing_key_is_named(key):
    raw = changed(key, None)
    *sections, last = key.split("/")
    inner = raw
    for section in sections:
        inner = inner[section]
    del inner[last]
    assert refusal(parse, raw) == f"params.yaml: {key.replace('/', '.')}: Field required"


OTHER = changed("datasets/other", GOOD["datasets"]["em"])


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("zero_shot/em-sam/dataset", "me", "zero_shot.em-sam.dataset: unknown dataset 'me'; known: em"),
        ("finetune/em-sam-20/model", "sma", "finetune.em-sam-20.model: unknown model 'sma'; known: sam, unet"),
        (f"{CASCADE}/dataset", "me", "cascade.em-cascade.dataset: unknown dataset 'me'; known: em"),
        (f"{CASCADE}/model", "sma", "cascade.em-cascade.model: unknown model 'sma'; known: sam, unet"),
        (f"{CASCADE}/from", "em", "cascade.em-cascade.from: unknown run 'em'; known: em-sam, em-sam-20"),
        # A cascade of a cascade would wait for a run of its own section.
        (f"{CASCADE}/from", "em-cascade", "cascade.em-cascade.from: unknown run 'em-cascade'; known: em-sam, em-sam-2"),
        (f"{CASCADE}/dataset", "other", "cascade.em-cascade.dataset: 'other', but em-sam is on 'em'"),
        ("finetune/em-sam", GOOD["finetune"]["em-sam-20"], "em-sam is in zero_shot and in finetune"),
        ("cascade/em-sam", GOOD["cascade"]["em-cascade"], "em-sam is in zero_shot and in cascade"),
    ],
)
def test_a_wrong_reference_is_one_line_that_names_it(key, value, message):
    raw = changed(key, value, OTHER if value == "other" else GOOD)
    assert refusal(parse, raw).startswith(f"params.yaml: {message}")


WORDS = {"dataset": "em", "model": "sam", "phrases": ["a", "b"]}
SEARCHED = {"dataset": "em", "model": "sam", "prompt": {"search": "words"}}
WITH_SEARCH = {**GOOD, "search": {"words": WORDS}, "searched": {"em-best": SEARCHED}}


@pytest.mark.parametrize(("key", "value", "message"), [
    ("search/words/model", "unet", "searched.em-best.prompt.search: 'words' is no search with sam on em; known: none"),
    ("searched/em-best/prompt", {"search": "x"}, "searched.em-best.prompt.search: 'x' is no search with sam on em; k"),
    ("searched/em-best/prompt", {"text": ["a"]}, "searched.em-best.prompt.search: Field required"),
    ("search/words/phrases", [], "search.words: nothing to search among; give candidates or phrases"),
    ("search/words/phrases", ["a", ["b"]], "search.words: phrases: a phrase, or a list with a phrase for each class"),
    ("search/words/phrases", [" "], "search.words: "),
    ("search/words/templates", ["a photo"], "search.words: templates: each needs {}"),
    ("search/words/candidates", [{"automatic": True}], "search.words: candidates: automatic masks are no prompt"),
    ("search/words/candidates", [{"clicks": 3}], "search.words: candidates: clicks and lists of jitter or offset have"),
    ("zero_shot/em-best", GOOD["zero_shot"]["em-sam"], "em-best is in zero_shot and in searched"),
])  # fmt: skip
def test_a_wrong_search_is_one_line_that_names_it(key, value, message):
    assert refusal(parse, changed(key, value, WITH_SEARCH)).startswith(f"params.yaml: {message}")


def test_candidates_are_prompts_and_phrases_in_templates_each_once():
    about = {"templates": ["{}", "a photo of {}"], "candidates": [{"text": ["b"]}, {"points": 2}], "pairs": True}
    prompts = parse(changed("search/words", WORDS | about, WITH_SEARCH)).search["words"].prompts
    texts = [prompt.text for prompt in prompts]
    pair = [["a and b"], ["a photo of a and b"]]
    assert texts == [["b"], None, ["a"], ["a photo of a"], ["a photo of b"], *pair] and prompts[1].points == 2
    two = {"phrases": [["a", "b"], ["c", "d"]], "templates": ["the {}"], "pairs": True}
    prompts = parse(changed("search/words", WORDS | two, WITH_SEARCH)).search["words"].prompts
    assert [prompt.text for prompt in prompts][1:] == [["the c", "the d"], ["the a and c", "the b and d"]]


def test_a_cascade_may_start_from_a_run_with_a_winner():
    assert parse(changed(f"{CASCADE}/from", "em-best", WITH_SEARCH)).run("em-cascade").source == "em-best"


def test_a_cascade_may_start_from_a_fine_tuned_run():
    assert parse(changed(f"{CASCADE}/from", "em-sam-20")).run("em-cascade").source == "em-sam-20"
