"""`promptseg check`: what readers, models, losses and optimizers refuse, in one line that names the entry."""

import pytest
import yaml
from example_params import GOOD, changed
from promptseg import datasets, models
from promptseg.cli import check, main
from promptseg.core import study
from promptseg.core.errors import UserError
from promptseg.core.runs import Cascade
from promptseg.preprocessing import class_selection
from refusing import refused
from typer.testing import CliRunner

CLIPSEG = {"dataset": "em", "model": "clipseg", "prompt": {"text": ["dark spots"]}}
BASE = {
    **GOOD,
    "models": {"sam": {}, "unet": {}, "clipseg": {}},
    "zero_shot": {**GOOD["zero_shot"], "em-clipseg": CLIPSEG},
    "cascade": {"em-cascade": {"dataset": "em", "from": "em-clipseg", "model": "sam"}},
}
FINETUNE = "finetune/em-sam-20"


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """Check BASE, or another params.yaml, with the value at `a/b/c` replaced."""
    monkeypatch.chdir(tmp_path)

    def check_params(key="seed", value=0, base=BASE):
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed(key, value, base), sort_keys=False))
        return check.check()

    return check_params


def test_the_project_s_own_params_pass_and_its_runs_have_prompts_that_their_models_take(root, monkeypatch):
    monkeypatch.chdir(root)
    given = study.load()
    zero_shot = len(given.zero_shot) + len(given.searched)
    counts = f"{len(given.datasets)} datasets, {len(given.models)} models, {zero_shot} zero-shot runs"
    line = f"params.yaml: {counts}, {len(given.cascade)} cascades, {len(given.finetune)} fine-"
    assert check.check().startswith(line)
    with_text = 0
    for name, run in given.runs.items():
        if name in given.searched:
            continue
        segmenter = models.load(run.model)
        if isinstance(run, Cascade):
            assert {"points", "box", "mask"} <= segmenter.PROMPTS, name
            continue
        assert run.prompt.kind in segmenter.PROMPTS, name
        if name in given.finetune:
            config = run.train.completed(segmenter.TRAIN_DEFAULTS)
            assert config.prompt.kind in segmenter.PROMPTS, name
            assert config.trainable and set(config.trainable) <= set(segmenter.TRAINABLE), name
        if run.prompt.text is not None:
            dataset = given.datasets[run.dataset]
            known = datasets.classes(datasets.load(dataset.reader), *datasets.options(run.dataset, dataset))
            classes, _ = class_selection.select(known, dataset.classes, "classes")
            run.prompt.check(list(classes), name)
            with_text += 1
    assert with_text


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("download/em/reader", "me", "unknown dataset 'me'; known: "),
        ("datasets/em/reader", "me", "datasets.em.reader: 'me', but download.em fills data/raw/em for 'em'"),
        ("datasets/em/raw", "../a`b", "datasets.em.raw: it contains '`', which commands cannot have; link the folder"),
        ("datasets/em/raw", "data/raw/others", "datasets.em.raw: nothing fills data/raw/others; add others to"),
        ("datasets/em/raw", "data/raw/others/em", "datasets.em.raw: nothing fills data/raw/others; add others to"),
        ("datasets/em/options", {"fold": 1}, "datasets.em.options: the reader 'em' "),
        ("datasets/em/classes", ["nucleus"], "datasets.em.classes: unknown class 'nucleus'; known: background, mito"),
        ("datasets/em/tile", "wide", "datasets.em.tile: "),
        ("datasets/em_2", {"raw": "data/raw/em", "reader": "lucchi_pp"}, "datasets.em_2.reader: 'lucchi_pp', but "),
        ("datasets/mine", {"raw": "../mine", "reader": "folder", "options": {"annotations": "a.json"}},
         "../mine: folder not found, and only its annotation files name the classes; correct datasets.<name>.raw, or"),
        ("models/sma", {}, "unknown model 'sma'; known: "),
        ("models/unet/precision", "bf16", "models.unet.precision: "),
        ("zero_shot/em-sam/prompt", {"text": ["a"]}, "zero_shot.em-sam: sam takes no text prompt; it takes automatic"),
        ("zero_shot/em-sam/prompt", {}, "zero_shot.em-sam: sam needs a prompt"),
        ("zero_shot/em-clipseg/prompt", {"text": ["a", "b"]}, "zero_shot.em-clipseg: prompt: 2 phrases, but"),
        (f"{FINETUNE}/prompt", {"text": ["a"]}, "finetune.em-sam-20: sam takes no text prompt"),
        (f"{FINETUNE}/train/prompt", {}, "finetune.em-sam-20: sam needs a prompt"),
        (f"{FINETUNE}/train/trainable", ["decoder"], "finetune.em-sam-20: sam has no trainable 'decoder'; known: mask"),
        (f"{FINETUNE}/train/trainable", [], "finetune.em-sam-20: sam needs something in train.trainable"),
        (f"{FINETUNE}/train/trainable", ["lora", "encoder"], "finetune.em-sam-20: sam: lora and encoder both train"),
        (f"{FINETUNE}/train/pretext_epochs", 2, "finetune.em-sam-20: sam has no pretext task"),
        (f"{FINETUNE}/train/loss", "iou", "finetune.em-sam-20: train.loss: unknown loss 'iou'; known: dice, bce"),
        (f"{FINETUNE}/train/optimizer", "sgd", "train.optimizer: unknown optimizer 'sgd'; known: adam"),
        (FINETUNE, {**CLIPSEG, "train": {"epochs": 1, "prompt": {"text": ["a", "b"]}}},
         "finetune.em-sam-20: train.prompt: 2 phrases, but"),
        ("cascade/em-cascade/model", "clipseg", "cascade.em-cascade: clipseg takes no points, boxes and masks"),
        ("cascade/em-cascade/model", "unet", "cascade.em-cascade: unet takes no points, boxes and masks"),
        ("zero_shot/em-clipseg", {"dataset": "em", "model": "sam", "prompt": {"automatic": True}},
         "cascade.em-cascade: from: em-clipseg has automatic masks, which have no probability maps"),
        ("search", {"words": {"dataset": "em", "model": "clipseg", "phrases": [["a", "b"]]}},
         "search.words: prompt: 2 phrases, but"),
        ("search", {"words": {"dataset": "em", "model": "sam", "phrases": ["a"]}},
         "search.words: sam takes no text prompt"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_one_line_that_names_the_entry(key, value, message, checked):
    refused(lambda: checked(key, value), message)


def test_the_boxes_of_a_detector_are_the_prompts_of_its_cascade(checked):
    base = changed("zero_shot/em-clipseg/model", "owlv2", changed("models/owlv2", {}, BASE))
    refused(lambda: checked(base=base), "cascade.em-cascade: a detector returns boxes", "set prompt.by: box")
    checked("cascade/em-cascade/prompt", {"by": "box"}, base)


@pytest.mark.parametrize(
    "key, value, datasets",
    [
        ("seed", 1, "1 dataset"),
        ("datasets/em/raw", "../epfl", "1 dataset"),  # a folder of the user needs no download
        ("datasets/em/raw", "data/mine", "1 dataset"),
        ("datasets/em_coarse", {"raw": "data/raw/em", "reader": "em", "resize": 512}, "2 datasets"),
    ],
)
def test_valid_params_are_described_in_one_line(key, value, datasets, checked):
    line = f"params.yaml: {datasets}, 3 models, 2 zero-shot runs, 1 cascade, 1 fine-tuned run"
    assert checked(key, value) == line
    assert CliRunner().invoke(main.app, ["check"]).stdout == f"{line}\n"


def test_point_clouds_need_a_model_that_takes_them(checked):
    clouds = {
        "download": {"m": {"reader": "modelnet40"}},
        "datasets": {"m": {"raw": "data/raw/m", "reader": "modelnet40"}},
        "models": {"clipseg": {}, "pointclip": {}},
        "zero_shot": {"a-run": {"dataset": "m", "model": "clipseg", "prompt": {"text": "class"}}},
    }
    refused(lambda: checked(base=clouds), "zero_shot.a-run: clipseg takes images, and m holds point clouds")
    line = checked("zero_shot/a-run/model", "pointclip", clouds)
    assert line == "params.yaml: 1 dataset, 2 models, 1 zero-shot run, 0 cascades, 0 fine-tuned runs"


def test_the_command_ends_with_the_error(checked):
    refused(lambda: checked("sed", 1), "sed: ")
    result = CliRunner().invoke(main.app, ["check"])
    assert isinstance(result.exception, UserError) and "sed" in str(result.exception)
