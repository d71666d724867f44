"""Entries of params.yaml: defaults, what is accepted, and one line that names the key for what is not."""

import pytest
import yaml
from example_params import CASCADE, GOOD, PROMPT, TRAIN, changed, parse, refusal
from promptseg.core import params, runs, study, train_config
from promptseg.core.params import ParamsFile
from promptseg.core.train_config import Lora, Train
from promptseg.prompts import PromptConfig
from promptseg.prompts.automatic import AutomaticMasks
from refusing import refused

DEFAULTS = {  # ...: required
    params.Scale: {"data": "official", "checkpoints": "official", "max_epochs": None, "max_images": None},
    params.Header: {"seed": 0, "scale": params.Scale()},
    params.Download: {"reader": ..., "source": None},
    params.Dataset: {
        "raw": ...,
        "reader": ...,
        "options": {},
        "classes": None,
        "resize": None,
        "tile": None,
        "overlap": 0,
        "border": "shift",
        "min_foreground": 0.0,
        "min_pixels": 0,
        "skip_invalid": False,
        "val_fraction": 0.1,
        "test_fraction": 0.5,
    },
    params.Model: {"source": None, "official": None, "revision": None, "precision": "fp32"},
    runs.Run: {"dataset": ..., "model": ..., "prompt": ..., "reported_iou": None},
    runs.FineTune: {"dataset": ..., "model": ..., "prompt": ..., "reported_iou": None, "train": ...},
    runs.Cascade: {
        "dataset": ..., "model": ..., "source": ..., "prompt": runs.CascadePrompt(), "reported_iou": None,
    },
    runs.CascadePrompt: {
        "by": "box + points", "threshold": 0.5, "min_area": 0.001, "max_components": 16, "points": 3,
    },
    PromptConfig: {
        "points": None,
        "sampling": "random",
        "box": False,
        "jitter": 0.0,
        "mask": False,
        "per": "image",
        "text": None,
        "support": False,
        "visual_prompt": ["darken", "blur", "crop"],
        "image_weight": 0.75,
        "automatic": False,
    },
    AutomaticMasks: {
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
    Train: {
        "prompt": PromptConfig(),
        "epochs": ...,
        "pretext_epochs": 0,
        "trainable": None,
        "lora": Lora(),
        "loss": None,
        "batch_size": None,
        "grad_accumulation_steps": 1,
        "optimizer": "adam",
        "lr": None,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup": 0.0,
        "max_grad_norm": None,
        "ema_decay": None,
        "precision": "fp32",
        "patience": None,
        "augment": None,
    },
    train_config.Augment: {"flip": ["horizontal"], "rotate": 15.0, "scale": 0.1, "brightness": 0.1},
    Lora: {"rank": 8, "alpha": 16.0},
}  # fmt: skip


@pytest.mark.parametrize("section", DEFAULTS, ids=lambda section: section.__name__)
def test_defaults(section):
    fields = section.model_fields
    defaults = {key: ... if field.is_required() else field.get_default() for key, field in fields.items()}
    assert defaults == DEFAULTS[section]


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
        ("download/em/reader", "E M", ["download.em.reader:", "'E M' is not the name of a module"]),
        ("download/em/tile", 256, ["download.em.tile:"]),
        ("datasets/em/reader", "../em", ["datasets.em.reader:", "'../em' is not the name of a module"]),
        ("datasets/em/source", "sample", ["datasets.em.source:"]),
        ("datasets/em/tile", "256", ["datasets.em.tile:"]),
        ("datasets/em/tile", 8, ["datasets.em.tile:", "16"]),
        ("datasets/em/overlap", -1, ["datasets.em.overlap:"]),
        ("datasets/em/overlap", 256, ["datasets.em:", "overlap (256) must be smaller than tile (256)"]),
        ("datasets/em/overlap", 300, ["datasets.em:", "overlap (300)"]),
        ("datasets/em/border", "drop it", ["datasets.em.border:", "'shift', 'cut' or 'drop'"]),
        ("datasets/em/classes", [], ["datasets.em:", "classes is empty"]),
        ("datasets/em/val_fraction", 1.0, ["datasets.em.val_fraction:"]),
        ("datasets/em/test_fraction", -0.1, ["datasets.em.test_fraction:"]),
        ("datasets/em/min_foreground", float("nan"), ["datasets.em.min_foreground:"]),
        ("models/sam/revision", "main", ["models.sam.revision:"]),
        ("models/sam/revision", "0" * 40, ["models.sam:", "official and revision go together"]),
        ("models/sam/official", "a/b", ["models.sam:", "official and revision go together"]),
        ("models/sam/networks", {}, ["models.sam.networks:"]),
        (PROMPT, {"points": 1, "mask": True}, ["zero_shot.em-sam.prompt:", "mask and points do not go together"]),
        (PROMPT, {"points": 1, "text": ["a"]}, ["zero_shot.em-sam.prompt:", "text and points do not go together"]),
        (PROMPT, {"box": True, "mask": True}, ["zero_shot.em-sam.prompt:", "box and mask do not go together"]),
        (PROMPT, {"box": True, "text": ["a"]}, ["zero_shot.em-sam.prompt:", "text and box do not go together"]),
        (PROMPT, {"automatic": True, "box": True}, ["zero_shot.em-sam.prompt:", "do not go together"]),
        (PROMPT, {"points": 1, "jitter": 0.1}, ["zero_shot.em-sam.prompt:", "jitter belongs to box"]),
        (PROMPT, {"box": True, "jitter": 1.0}, ["zero_shot.em-sam.prompt.jitter:"]),
        (PROMPT, {"box": True, "support": True}, ["zero_shot.em-sam.prompt:", "support and box do not go together"]),
        (PROMPT, {"text": ["a"], "visual_prompt": []}, ["zero_shot.em-sam.prompt:", "visual_prompt belongs to"]),
        (PROMPT, {"support": True, "visual_prompt": ["bright"]}, ["em-sam.prompt.visual_prompt.0:", "'bright'"]),
        (PROMPT, {"support": True, "visual_prompt": ["crop", "crop"]}, ["zero_shot.em-sam.prompt:", "twice"]),
        (PROMPT, {"support": True, "image_weight": 0.5}, ["em-sam.prompt:", "belongs to support with text"]),
        (PROMPT, {"text": ["a"], "image_weight": 0.5}, ["zero_shot.em-sam.prompt:", "image_weight belongs to support"]),
        (PROMPT, {"text": ["a"], "support": True, "image_weight": 1.0}, ["zero_shot.em-sam.prompt.image_weight:"]),
        (PROMPT, {"support": True, "per": "instance"}, ["em-sam.prompt:", "per belongs to box and mask and points"]),
        (PROMPT, {"text": ["a"], "refine": {}}, ["zero_shot.em-sam.prompt.refine:"]),
        (PROMPT, {"points": 0}, ["zero_shot.em-sam.prompt.points:"]),
        (
            PROMPT,
            {"points": 1, "sampling": "middle"},
            ["zero_shot.em-sam.prompt.sampling:", "'random' or 'center'", "'middle'"],
        ),
        (PROMPT, {"points": 1, "per": "object"}, ["zero_shot.em-sam.prompt.per:", "'image' or 'instance'"]),
        (PROMPT, {"text": []}, ["zero_shot.em-sam.prompt:", "a phrase for each class"]),
        (PROMPT, {"text": ["cat", " "]}, ["zero_shot.em-sam.prompt:", "none of them empty"]),
        (PROMPT, {"text": "cat"}, ["zero_shot.em-sam.prompt.text:", "list"]),
        (PROMPT, {"text": [None]}, ["zero_shot.em-sam.prompt.text.0:"]),
        (PROMPT, {"automatic": {"points": 0}}, ["zero_shot.em-sam.prompt.automatic"]),
        (f"{CASCADE}/prompt", {"by": "boxes"}, ["cascade.em-cascade.prompt.by:", "'boxes'"]),
        (f"{CASCADE}/prompt", {"threshold": 1.0}, ["cascade.em-cascade.prompt.threshold:"]),
        (f"{CASCADE}/prompt", {"threshold": 0.0}, ["cascade.em-cascade.prompt.threshold:"]),
        (f"{CASCADE}/prompt", {"max_components": 0}, ["cascade.em-cascade.prompt.max_components:"]),
        (f"{TRAIN}/epochs", 0, ["finetune.em-sam-20.train.epochs:"]),
        (f"{TRAIN}/lr", "1e-4", ["finetune.em-sam-20.train.lr:", "'1e-4'"]),  # so YAML reads 1e-4 without a dot
        (f"{TRAIN}/lr", float("inf"), ["finetune.em-sam-20.train.lr:"]),
        (f"{TRAIN}/lr", float("nan"), ["finetune.em-sam-20.train.lr:"]),
        (f"{TRAIN}/trainable", "mask_decoder", ["finetune.em-sam-20.train.trainable:"]),
        (f"{TRAIN}/trainable", ["all", "all"], ["finetune.em-sam-20.train:", "trainable names something twice"]),
        (f"{TRAIN}/lora", {"rank": 4}, ["finetune.em-sam-20.train:", "lora belongs to trainable: [lora]"]),
        (f"{TRAIN}/prompt", {"automatic": True}, ["finetune.em-sam-20.train:", "automatic masks have no prompts"]),
        (f"{TRAIN}/batch_size", "all", ["finetune.em-sam-20.train.batch_size"]),
        (f"{TRAIN}/warmup", 1.0, ["finetune.em-sam-20.train.warmup:"]),
        (f"{TRAIN}/ema_decay", 1.0, ["finetune.em-sam-20.train.ema_decay:"]),
        (f"{TRAIN}/patience", 0, ["finetune.em-sam-20.train.patience:"]),
        (f"{TRAIN}/precision", "fp16", ["finetune.em-sam-20.train.precision:"]),
        (f"{TRAIN}/augment", {"rotate": 200.0}, ["finetune.em-sam-20.train.augment.rotate:"]),
        (f"{TRAIN}/augment", {"flip": True}, ["finetune.em-sam-20.train.augment.flip:"]),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_one_line_that_names_it(key, value, words):
    message = refusal(parse, changed(key, value))
    assert message.startswith("params.yaml: ")
    assert all(word in message for word in words), message


def test_several_wrong_keys_are_counted():
    raw = {**GOOD, "a": 1, "b": 2, "c": 3}
    assert refusal(parse, raw).endswith("(and 2 more)")


def test_a_value_of_many_lines_stays_one_line():
    refusal(parse, changed(f"{PROMPT}/sampling", "a\nb\nc"))


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError):
        parse(GOOD).seed = 1


@pytest.fixture
def file(tmp_path):
    """Writes a mapping, or bytes, to params.yaml; returns its path."""

    def write(content):
        path = tmp_path / "params.yaml"
        path.write_bytes(content if isinstance(content, bytes) else yaml.safe_dump(content).encode())
        return path

    return write


READERS = pytest.mark.parametrize("read", [ParamsFile, study.load])


@READERS
@pytest.mark.parametrize(
    "text, words",
    [
        (b"seed: [1\nscale: }", "not valid YAML"),
        (b"seed: 1\n\tscale: 2", "not valid YAML"),
        (b"seed: 2024-13-45", "not valid YAML"),
        (b"seed: \xff\xfe", "not valid YAML"),
        (b"seed: !!python/object:os.system ls", "not valid YAML"),
        (b"", "a mapping of sections is expected"),
        (b"- a\n- b", "a mapping of sections is expected"),
        (b"42", "a mapping of sections is expected"),
    ],
)
def test_a_file_without_a_mapping_is_refused(read, file, text, words):
    path = file(text)
    message = refusal(read, path)
    assert message.startswith(f"{path}: ") and words in message


@READERS
def test_a_missing_file_is_named(read, tmp_path):
    assert refusal(read, tmp_path / "params.yaml").startswith(f"{tmp_path / 'params.yaml'}: not found")


def test_entries_are_read_one_by_one(file):
    """A wrong entry stops the stages that are about it, and no others."""
    path = file({**changed("datasets/em/tile", "wide"), "seed": 3, "scale": {"data": "sample"}})
    given = ParamsFile(path)
    assert (given.seed, given.scale.data, given.scale.checkpoints) == (3, "sample", "official")
    assert given.download("em") == params.Download(reader="em")
    assert given.model("sam") == given.model("unet") == params.Model()
    assert given.entry("zero_shot", "em-sam", runs.Run).prompt.points == 1
    assert given.entry("cascade", "em-cascade", runs.Cascade).source == "em-sam"
    assert given.entry("finetune", "em-sam-20", runs.FineTune).train.epochs == 20
    refused(lambda: given.dataset("em"), f"{path}: datasets.em.tile: ", "'wide'")


def test_an_unknown_entry_lists_the_known_ones(file):
    given = ParamsFile(path := file(GOOD))
    refused(lambda: given.model("x"), f"{path}: unknown entry 'x' in models; known: sam, unet")
    refused(lambda: given.entry("zero-shot", "x", runs.Run), "unknown entry 'x' in zero-shot; known: ")
    refused(lambda: ParamsFile(file({"datasets": [1]})).dataset("em"), "unknown entry 'em' in datasets; known: none")


def test_an_entry_without_settings_has_the_defaults(file):
    assert ParamsFile(file({"models": {"sam": None}})).model("sam") == params.Model()


@pytest.mark.parametrize("header, key", [({"seed": -1}, "seed"), ({"scale": {"data": "all"}}, "scale.data")])
def test_seed_and_scale_are_checked_for_every_stage(header, key, file):
    path = file({**GOOD, **header})
    refused(lambda: ParamsFile(path), f"{path}: {key}: ")


def test_a_wrong_key_in_a_file_names_the_file(tmp_path):
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({**GOOD, "sed": 1}))
    assert refusal(study.load, tmp_path / "p.yaml").startswith(f"{tmp_path / 'p.yaml'}: sed: ")


def test_missing_train_settings_are_those_of_the_model():
    defaults = {"trainable": ["mask_decoder"], "loss": "dice", "lr": 1e-4, "batch_size": 2}
    config = Train(epochs=3, lr=0.1).completed(defaults)
    assert (config.trainable, config.loss, config.lr, config.batch_size) == (["mask_decoder"], "dice", 0.1, 2)
    assert Train(epochs=3).completed({}) == Train(epochs=3)


@pytest.mark.parametrize("batch_size, images", [(3, 3), ("auto", 8)])
def test_the_images_of_a_batch(batch_size, images):
    assert Train(epochs=1, batch_size=batch_size).images_per_batch == images
