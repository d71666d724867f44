"""params.yaml: what is let in, and one clear line for what is not."""

import copy

import pytest
import yaml
from promptseg import datasets, models, prompts
from promptseg.cli.main import check
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.core.params import Prompt
from promptseg.preprocessing import class_selection

GOOD = {
    "datasets": {"em": {"reader": "em", "tile": 256}},
    "models": {"sam": {}, "unet": {}},
    "zero_shot": {"em-sam": {"dataset": "em", "model": "sam", "prompt": {"points": 1}}},
    "finetune": {
        "em-sam-20": {
            "dataset": "em",
            "model": "sam",
            "prompt": {"box": True},
            "train": {"prompt": {}, "epochs": 20, "parts": ["mask_decoder"]},
        }
    },
}


def changed(key, value):
    """GOOD with the value at `a/b/c` replaced or added."""
    raw = copy.deepcopy(GOOD)
    *way, last = key.split("/")
    inner = raw
    for part in way:
        inner = inner[part]
    inner[last] = value
    return raw


def refusal(function, *args):
    """The message of the UserError, which is one line."""
    with pytest.raises(UserError) as caught:
        function(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def ours(root):
    return params.load(root / "params.yaml")


def test_the_projects_own_file_loads(ours):
    assert ours.datasets and ours.models and ours.zero_shot and ours.finetune


def test_every_dataset_and_model_has_its_file(ours):
    assert {dataset.reader for dataset in ours.datasets.values()} <= set(datasets.names())
    assert set(ours.models) <= set(models.names())


def test_every_run_asks_for_what_its_model_can_do(ours):
    for name in {**ours.zero_shot, **ours.finetune}:
        run = ours.run(name)
        segmenter = check.segmenter_class(run.model)
        assert run.prompt.kind in segmenter.PROMPTS, name
        if name in ours.finetune:
            assert run.train.prompt.kind in segmenter.PROMPTS, name
            assert run.train.parts and set(run.train.parts) <= set(segmenter.PARTS), name


def test_every_run_has_a_phrase_for_each_class_where_it_asks_by_text(ours):
    asked = {name: ours.run(name) for name in {**ours.zero_shot, **ours.finetune}}
    asked = {name: run for name, run in asked.items() if run.prompt.text is not None}
    assert asked
    for name, run in asked.items():
        dataset = ours.dataset(run.dataset)
        known = datasets.classes(datasets.load(dataset.reader), *datasets.options(run.dataset, dataset))
        classes, _ = class_selection.select(known, dataset.classes, "classes")
        prompts.check_phrases(run.prompt.text, classes, name)


def test_defaults_stand_for_the_full_study():
    given = params.parse(GOOD)
    assert given.scale == params.Scale(data="official", checkpoints="official", max_epochs=None, max_images=None)
    assert given.seed == 0
    assert given.dataset("em").tile == 256 and given.dataset("em").overlap == 0


DEFAULTS = {  # ...: it has to be given
    "Scale": {"data": "official", "checkpoints": "official", "max_epochs": None, "max_images": None},
    "Dataset": {
        "reader": ...,
        "parts": "common",
        "source": None,
        "options": {},
        "classes": None,
        "resize": None,
        "tile": None,
        "overlap": 0,
        "edge": "shift",
        "min_foreground": 0.0,
        "min_pixels": 0,
        "skip_bad": False,
        "val_fraction": 0.1,
        "test_fraction": 0.5,
    },
    "Model": {"source": None, "official": None, "revision": None, "networks": {}, "precision": "fp32"},
    "Run": {"dataset": ..., "model": ..., "prompt": ..., "published": None},
    "Prompt": {
        "points": None,
        "how": "random",
        "box": False,
        "jitter": 0.0,
        "mask": False,
        "per": "picture",
        "text": None,
        "support": False,
        "prepare": ["darken", "blur", "crop"],
        "mix": 0.75,
        "automatic": False,
        "refine": None,
    },
    "Automatic": {
        "points": 32,
        "iou": 0.88,
        "stability": 0.95,
        "nms": 0.7,
        "crop_layers": 0,
        "crop_nms": 0.7,
        "crop_overlap": 512 / 1500,
        "crop_fewer_points": 1,
        "min_area": 0,
    },
    "Refine": {"by": "box + points", "threshold": 0.5, "min_share": 0.001, "most": 16, "points": 3},
    "Train": {
        "prompt": Prompt(),
        "epochs": ...,
        "pretrain": 0,
        "parts": ...,
        "lora": params.Lora(),
        "loss": "dice",
        "batch": 8,
        "accumulate": 1,
        "optimizer": "adam",
        "lr": 1e-4,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup": 0.0,
        "clip": None,
        "ema": None,
        "precision": "fp32",
        "patience": None,
        "augment": None,
    },
    "Augment": {"flip": ["horizontal"], "rotate": 15.0, "scale": 0.1, "brightness": 0.1},
    "Lora": {"rank": 8, "alpha": 16.0},
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_left_out_has_this_default(name):
    fields = getattr(params, name).model_fields
    assert {key: ... if field.is_required() else field.get_default() for key, field in fields.items()} == DEFAULTS[name]


PROMPT = "zero_shot/em-sam/prompt"
TRAIN = "finetune/em-sam-20/train"


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("sed", 1, ["sed:"]),
        ("scale", {"dta": "sample"}, ["scale.dta:"]),
        ("datasets/em/tiles", 128, ["datasets.em.tiles:"]),
        (f"{TRAIN}/rate", 1e-4, ["finetune.em-sam-20.train.rate:"]),
        ("seed", "one", ["seed:", "integer", "'one'"]),
        ("seed", -1, ["seed:"]),
        ("seed", 1.0, ["seed:"]),
        ("seed", True, ["seed:", "True"]),
        ("scale", {"data": "samples"}, ["scale.data:", "'sample' or 'official'"]),
        ("scale", {"max_images": 0}, ["scale.max_images:"]),
        ("scale", None, ["scale:"]),
        ("datasets/em/tile", "256", ["datasets.em.tile:"]),
        ("datasets/em/tile", 8, ["datasets.em.tile:", "16"]),
        ("datasets/em/overlap", -1, ["datasets.em.overlap:"]),
        ("datasets/em/overlap", 256, ["datasets.em:", "overlap (256) must be smaller than tile (256)"]),
        ("datasets/em/overlap", 300, ["datasets.em:", "overlap (300)"]),
        ("datasets/em/val_fraction", 1.0, ["datasets.em.val_fraction:"]),
        ("datasets/em/test_fraction", -0.1, ["datasets.em.test_fraction:"]),
        ("datasets/em/min_foreground", float("nan"), ["datasets.em.min_foreground:"]),
        ("models/sam/revision", "main", ["models.sam.revision:"]),
        (
            PROMPT,
            {"points": 1, "box": True},
            ["zero_shot.em-sam.prompt:", "one of points, box, mask, text and automatic"],
        ),
        (
            PROMPT,
            {"points": 1, "text": ["a"]},
            ["zero_shot.em-sam.prompt:", "one of points, box, mask, text and automatic"],
        ),
        (
            PROMPT,
            {"box": True, "mask": True},
            ["zero_shot.em-sam.prompt:", "one of points, box, mask, text and automatic"],
        ),
        (
            PROMPT,
            {"box": True, "text": ["a"]},
            ["zero_shot.em-sam.prompt:", "one of points, box, mask, text and automatic"],
        ),
        (PROMPT, {"points": 1, "jitter": 0.1}, ["zero_shot.em-sam.prompt:", "jitter belongs to box"]),
        (PROMPT, {"box": True, "jitter": 1.0}, ["zero_shot.em-sam.prompt.jitter:"]),
        (PROMPT, {"box": True, "support": True}, ["zero_shot.em-sam.prompt:", "support goes alone or with text"]),
        (PROMPT, {"text": ["a"], "prepare": []}, ["zero_shot.em-sam.prompt:", "prepare belongs to support"]),
        (PROMPT, {"support": True, "prepare": ["bright"]}, ["zero_shot.em-sam.prompt.prepare.0:", "'bright'"]),
        (PROMPT, {"support": True, "prepare": ["crop", "crop"]}, ["zero_shot.em-sam.prompt:", "twice"]),
        (PROMPT, {"support": True, "mix": 0.5}, ["zero_shot.em-sam.prompt:", "mix belongs to support with text"]),
        (PROMPT, {"text": ["a"], "mix": 0.5}, ["zero_shot.em-sam.prompt:", "mix belongs to support with text"]),
        (PROMPT, {"text": ["a"], "support": True, "mix": 1.0}, ["zero_shot.em-sam.prompt.mix:"]),
        (PROMPT, {"support": True, "per": "object"}, ["zero_shot.em-sam.prompt:", "belong to points, box and mask"]),
        (PROMPT, {"box": True, "refine": {}}, ["zero_shot.em-sam.prompt:", "refine belongs to text and support"]),
        (PROMPT, {"text": ["a"], "refine": {"by": "boxes"}}, ["zero_shot.em-sam.prompt.refine.by:", "'boxes'"]),
        (PROMPT, {"text": ["a"], "refine": {"threshold": 1.0}}, ["zero_shot.em-sam.prompt.refine.threshold:"]),
        (PROMPT, {"points": 0}, ["zero_shot.em-sam.prompt.points:"]),
        (PROMPT, {"points": 1, "how": "middle"}, ["zero_shot.em-sam.prompt.how:", "'random' or 'center'", "'middle'"]),
        (PROMPT, {"text": []}, ["zero_shot.em-sam.prompt:", "a phrase for each class"]),
        (PROMPT, {"text": ["cat", " "]}, ["zero_shot.em-sam.prompt:", "none of them empty"]),
        (PROMPT, {"text": "cat"}, ["zero_shot.em-sam.prompt.text:", "list"]),
        (PROMPT, {"text": [None]}, ["zero_shot.em-sam.prompt.text.0:"]),
        (f"{TRAIN}/epochs", 0, ["finetune.em-sam-20.train.epochs:"]),
        (f"{TRAIN}/lr", "1e-4", ["finetune.em-sam-20.train.lr:", "'1e-4'"]),  # so YAML reads 1e-4 without a dot
        (f"{TRAIN}/lr", float("inf"), ["finetune.em-sam-20.train.lr:"]),
        (f"{TRAIN}/lr", float("nan"), ["finetune.em-sam-20.train.lr:"]),
        (f"{TRAIN}/loss", "iou", ["finetune.em-sam-20.train.loss:"]),
        (f"{TRAIN}/parts", "mask_decoder", ["finetune.em-sam-20.train.parts:"]),
        (f"{TRAIN}/parts", ["all", "all"], ["finetune.em-sam-20.train:", "parts names something twice"]),
        (f"{TRAIN}/lora", {"rank": 4}, ["finetune.em-sam-20.train:", "lora belongs to parts: [lora]"]),
        (f"{TRAIN}/optimizer", "sgd", ["finetune.em-sam-20.train.optimizer:", "'adam', 'adamw' or 'muon'"]),
        (f"{TRAIN}/warmup", 1.0, ["finetune.em-sam-20.train.warmup:"]),
        (f"{TRAIN}/ema", 1.0, ["finetune.em-sam-20.train.ema:"]),
        (f"{TRAIN}/patience", 0, ["finetune.em-sam-20.train.patience:"]),
        (f"{TRAIN}/precision", "fp16", ["finetune.em-sam-20.train.precision:"]),
        (f"{TRAIN}/augment", {"rotate": 200.0}, ["finetune.em-sam-20.train.augment.rotate:"]),
        (f"{TRAIN}/augment", {"flip": True}, ["finetune.em-sam-20.train.augment.flip:"]),
        ("zero_shot/em-sam/dataset", "me", ["zero_shot.em-sam.dataset:", "unknown dataset 'me'", "known: em"]),
        ("finetune/em-sam-20/model", "sma", ["finetune.em-sam-20.model:", "unknown model 'sma'", "known: sam, unet"]),
        ("finetune/em-sam", GOOD["finetune"]["em-sam-20"], ["em-sam stands in zero_shot and in finetune"]),
    ],
)
def test_a_wrong_key_or_value_is_one_line_that_names_it(key, value, words):
    message = refusal(params.parse, changed(key, value))
    assert message.startswith("params.yaml: ")
    assert all(word in message for word in words), message


@pytest.mark.parametrize("section", ["datasets", "models", "zero_shot", "finetune"])
@pytest.mark.parametrize(
    "name", ["", "Em", "-em", "_em", "e m", "em;ls", "$(ls)", "../../x", "em\n", "é", "a/b", "a.b", "a" * 42]
)
def test_a_bad_name_is_refused(section, name):
    some = next(iter(GOOD[section].values()))
    message = refusal(params.parse, changed(section, {**GOOD[section], name: some}))
    assert message.startswith(f"params.yaml: {section}: {name!r} is no valid name")


@pytest.mark.parametrize("name", ["a", "0", "a" * 41, "010", "em-sam_2"])
def test_a_good_name_is_let_in(name):
    assert params.parse(changed(f"datasets/{name}", {"reader": "em"})).dataset(name) == params.Dataset(reader="em")


@pytest.mark.parametrize("name", ["010", "null", "yes"])
def test_a_name_that_yaml_takes_for_something_else_is_refused(tmp_path, name):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(GOOD).replace("\n  em:", f"\n  {name}:"))
    assert "datasets." in refusal(params.load, path)


@pytest.mark.parametrize("section", ["datasets", "models"])
def test_a_missing_section_is_named(section):
    raw = {key: value for key, value in GOOD.items() if key != section}
    assert refusal(params.parse, raw).startswith(f"params.yaml: {section}: ")


@pytest.mark.parametrize(
    "key",
    [
        "zero_shot/em-sam/dataset",
        "zero_shot/em-sam/model",
        "zero_shot/em-sam/prompt",
        "finetune/em-sam-20/train",
        f"{TRAIN}/epochs",
        f"{TRAIN}/parts",
    ],
)
def test_a_missing_key_is_named(key):
    raw = copy.deepcopy(GOOD)
    *way, last = key.split("/")
    inner = raw
    for part in way:
        inner = inner[part]
    del inner[last]
    assert refusal(params.parse, raw) == f"params.yaml: {key.replace('/', '.')}: Field required"


def test_several_wrong_keys_are_counted():
    raw = {**GOOD, "a": 1, "b": 2, "c": 3}
    assert refusal(params.parse, raw).endswith("(and 2 more)")


def test_a_value_of_many_lines_stays_one_line():
    refusal(params.parse, changed(f"{PROMPT}/how", "a\nb\nc"))


@pytest.mark.parametrize(
    "text, words",
    [
        (b"seed: [1\nscale: }", "not valid YAML"),
        (b"seed: 1\n\tscale: 2", "not valid YAML"),
        (b"seed: 2024-13-45", "not valid YAML"),
        (b"seed: \xff\xfe", "not valid YAML"),
        (b"seed: !!python/object:os.system ls", "not valid YAML"),
        (b"", "should be a mapping"),
        (b"- a\n- b", "should be a mapping"),
        (b"42", "should be a mapping"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, words):
    path = tmp_path / "params.yaml"
    path.write_bytes(text)
    message = refusal(params.load, path)
    assert message.startswith(f"{path}: ") and words in message


def test_a_missing_file_is_not_found(tmp_path):
    assert refusal(params.load, tmp_path / "params.yaml").startswith(f"{tmp_path / 'params.yaml'}: not found")


def test_a_wrong_key_in_a_file_names_the_file(tmp_path):
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({**GOOD, "sed": 1}))
    assert refusal(params.load, tmp_path / "p.yaml").startswith(f"{tmp_path / 'p.yaml'}: sed: ")


def test_runs_datasets_and_models_are_found_by_name():
    given = params.parse(GOOD)
    assert given.run("em-sam").prompt.points == 1
    assert given.run("em-sam-20").train.epochs == 20
    assert given.model("sam") == params.Model()
    assert "unknown run 'x'; known: em-sam, em-sam-20" in refusal(given.run, "x")
    assert "unknown dataset 'x'; known: em" in refusal(given.dataset, "x")
    assert "unknown model 'x'; known: sam, unet" in refusal(given.model, "x")


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError):
        params.parse(GOOD).seed = 1


@pytest.mark.parametrize(
    "prompt, kind, source, words",
    [
        (Prompt(), "none", "none", "none"),
        (Prompt(points=1), "points", "truth (oracle)", "1 random point"),
        (Prompt(points=3, how="center"), "points", "truth (oracle)", "3 central points"),
        (Prompt(points=2, per="object"), "points", "truth (oracle)", "2 random points per object"),
        (Prompt(box=True), "box", "truth (oracle)", "box"),
        (
            Prompt(box=True, per="object", jitter=0.02),
            "box",
            "truth with jitter (oracle)",
            "box per object, jitter 0.02",
        ),
        (Prompt(mask=True), "mask", "truth (oracle)", "mask"),
        (Prompt(mask=True, per="object"), "mask", "truth (oracle)", "mask per object"),
        (Prompt(text=["black spots"]), "text", "text", '"black spots"'),
        (Prompt(text=["cat", "dog"]), "text", "text", '"cat", "dog"'),
        (Prompt(text=["fire"], refine=params.Refine(by="mask")), "text", "text", '"fire", refined by mask from 0.5'),
        (Prompt(support=True), "image", "image", "support picture (darken, blur, crop)"),
        (
            Prompt(text="own", support=True, prepare=[]),
            "text + image",
            "text + image",
            "its own phrase + 0.75 support picture (plain)",
        ),
    ],
)
def test_a_prompt_says_what_it_is(prompt, kind, source, words):
    assert prompt.kind == kind
    assert prompt.source == source and prompt.oracle is source.startswith("truth")
    assert prompt.describe() == words
