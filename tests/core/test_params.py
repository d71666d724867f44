"""Entries of params.yaml: defaults, what is accepted, and one line that names the key for what is not."""

import pytest
import yaml
from example_params import CASCADE, GOOD, PROMPT, TRAIN, changed, parse, refusal
from promptseg.core import params, runs, study
from promptseg.core.params import ParamsFile
from promptseg.core.runs import CascadePrompt
from promptseg.core.search import Search
from promptseg.core.searched import Searched
from promptseg.core.train_config import Augment, Lora, Train
from promptseg.prompts import PromptConfig
from promptseg.prompts.automatic import AutomaticMasks
from refusing import refused

DEFAULTS = {  # ...: required
    params.Scale: {"data": "official", "checkpoints": "official", "max_epochs": None, "max_images": None},
    params.Header: {"seed": 0, "scale": params.Scale()},
    params.Download: {"reader": ..., "source": None},
    params.Dataset: {
        "raw": ..., "reader": ..., "options": {}, "classes": None, "resize": None, "tile": None, "overlap": 0,
        "border": "shift", "min_foreground": 0.0, "min_pixels": 0, "score": "image", "skip_invalid": False,
        "val_fraction": 0.1, "test_fraction": 0.5,
    },
    params.Model: {"source": None, "official": None, "revision": None, "precision": "fp32"},
    runs.Run: {"dataset": ..., "model": ..., "prompt": ..., "reported_iou": None},
    runs.FineTune: {
        "dataset": ..., "model": ..., "prompt": ..., "reported_iou": None, "train": ..., "reported_dice_loss": None,
        "baseline": None,
    },
    Search: {"dataset": ..., "model": ..., "candidates": [], "phrases": [], "pairs": False, "templates": ["{}"]},
    Searched: {"dataset": ..., "model": ..., "prompt": ..., "reported_iou": None},
    runs.Cascade: {"dataset": ..., "model": ..., "source": ..., "prompt": CascadePrompt(), "reported_iou": None},
    CascadePrompt: {"by": "box + points", "threshold": 0.5, "min_area": 0.001, "max_components": 16, "points": 3},
    PromptConfig: {
        "points": None, "sampling": "random", "box": False, "jitter": 0.0, "mask": False, "per": "image", "text": None,
        "support": False, "visual_prompt": ["darken", "blur", "crop"], "image_weight": 0.75, "automatic": False,
        "together": False, "offset": 0.0, "clicks": None, "start": "point", "seeds": None,
        "exemplars": None, "negatives": 0, "readout": None,
    },
    AutomaticMasks: {
        "points": 32, "iou": 0.88, "stability": 0.95, "nms": 0.7, "crop_layers": 0, "crop_nms": 0.7,
        "crop_overlap": 512 / 1500, "crop_fewer_points": 1, "min_area": 0,
    },
    Train: {
        "prompt": PromptConfig(), "epochs": ..., "train_fraction": 1.0, "pretext_epochs": 0, "trainable": None,
        "lora": Lora(), "loss": None, "batch_size": None, "grad_accumulation_steps": 1, "optimizer": "adam", "lr": None,
        "weight_decay": 0.0, "schedule": "constant", "warmup": 0.0, "max_grad_norm": None, "ema_decay": None,
        "precision": "fp32", "patience": None, "keep": "best", "augment": None, "seeds": None, "log": None,
    },
    Augment: {"flip": ["horizontal"], "rotate": 15.0, "scale": 0.1, "brightness": 0.1},
    Lora: {"rank": 8, "alpha": 16.0},
}  # fmt: skip


@pytest.mark.parametrize("section", DEFAULTS, ids=lambda section: section.__name__)
def test_defaults(section):
    fields = section.model_fields
    defaults = {key: ... if field.is_required() else field.get_default() for key, field in fields.items()}
    assert defaults == DEFAULTS[section]


NAMED = [  # keys with values that they do not take; the message names the key
    ("seed", -1), ("seed", 1.0), ("sed", 1), ("scale", None), ("datasets/em/tiles", 128), ("download/em/tile", 256),
    ("datasets/em/source", "sample"), ("datasets/em/tile", "256"), ("datasets/em/overlap", -1),
    ("datasets/em/val_fraction", 1.0), ("datasets/em/test_fraction", -0.1), ("models/sam/revision", "main"),
    ("datasets/em/min_foreground", float("nan")), ("models/sam/networks", {}), (f"{PROMPT}/jitter", 1.0),
    (f"{PROMPT}/refine", {}), (f"{PROMPT}/points", 0), (f"{TRAIN}/rate", 1e-4), (f"{TRAIN}/epochs", 0),
    (f"{TRAIN}/lr", float("inf")), (f"{TRAIN}/lr", float("nan")), (f"{TRAIN}/trainable", "mask_decoder"),
    (f"{TRAIN}/warmup", 1.0), (f"{TRAIN}/ema_decay", 1.0), (f"{TRAIN}/patience", 0), (f"{TRAIN}/precision", "fp16"),
]  # fmt: skip


@pytest.mark.parametrize(
    "key, value, words",  # words that begin with "." or ":" follow the key
    [
        *((key, value, ":") for key, value in NAMED),
        ("scale", {"dta": "sample"}, "scale.dta: "),
        ("scale", {"max_images": 0}, "scale.max_images: "),
        ("scale", {"data": "samples"}, "scale.data: Input should be 'sample' or 'official', got 'samples'"),
        ("seed", "one", "seed: Input should be a valid integer, got 'one'"),
        ("seed", True, "seed: Input should be a valid integer, got True"),
        ("download/em/reader", "E M", "download.em.reader: 'E M' is not the name of a module"),
        ("datasets/em/reader", "../em", "datasets.em.reader: '../em' is not the name of a module"),
        ("datasets/em/tile", 8, "datasets.em.tile: Input should be greater than or equal to 16"),
        ("datasets/em/overlap", 256, "datasets.em: overlap (256) must be smaller than tile (256)"),
        ("datasets/em/overlap", 300, "datasets.em: overlap (300)"),
        ("datasets/em/border", "drop it", "datasets.em.border: Input should be 'shift', 'cut' or 'drop'"),
        ("datasets/em/classes", [], "datasets.em: classes is empty"),
        ("models/sam/revision", "0" * 40, "models.sam: official and revision go together"),
        ("models/sam/official", "a/b", "models.sam: official and revision go together"),
        (PROMPT, {"points": 1, "mask": True}, ": mask and points do not go together"),
        (PROMPT, {"points": 1, "text": ["a"]}, ": text and points do not go together"),
        (PROMPT, {"box": True, "mask": True}, ": box and mask do not go together"),
        (PROMPT, {"box": True, "text": ["a"]}, ": text and box do not go together"),
        (PROMPT, {"box": True, "support": True}, ": support and box do not go together"),
        (PROMPT, {"automatic": True, "box": True}, ": automatic and box do not go together"),
        (PROMPT, {"points": 1, "jitter": 0.1}, ": jitter belongs to box"),
        (PROMPT, {"text": ["a"], "visual_prompt": []}, ": visual_prompt belongs to"),
        (PROMPT, {"support": True, "visual_prompt": ["bright"]}, ".visual_prompt.0: Input should be 'darken', 'blur'"),
        (PROMPT, {"support": True, "visual_prompt": ["crop", "crop"]}, ": visual_prompt: a step is named twice"),
        (PROMPT, {"support": True, "image_weight": 0.5}, ": image_weight belongs to support with text"),
        (PROMPT, {"text": ["a"], "image_weight": 0.5}, ": image_weight belongs to support"),
        (PROMPT, {"text": ["a"], "support": True, "image_weight": 1.0}, ".image_weight: "),
        (PROMPT, {"support": True, "per": "instance"}, ": per belongs to box and clicks and mask and points"),
        (PROMPT, {"points": 1, "sampling": "middle"}, ".sampling: Input should be 'random' or 'center', got 'middle'"),
        (PROMPT, {"points": 1, "per": "object"}, ".per: Input should be 'image' or 'instance'"),
        (PROMPT, {"text": []}, ": text: a phrase for each class is expected, none of them empty"),
        (PROMPT, {"text": ["cat", " "]}, ": text: a phrase for each class is expected, none"),
        (PROMPT, {"text": "cat"}, ".text: Input should be a valid list"),
        (PROMPT, {"text": [None]}, ".text.0: "),
        (TRAIN, {"epochs": 1, "prompt": {"points": 1, "per": "instance", "together": True}}, ": prompt: together"),
        (PROMPT, {"automatic": {"points": 0}}, ".automatic"),
        (f"{CASCADE}/prompt", {"by": "boxes"}, ".by: Input should be 'box', 'points', 'mask', 'box + points'"),
        (f"{CASCADE}/prompt", {"threshold": 1.0}, ".threshold: "),
        (f"{CASCADE}/prompt", {"threshold": 0.0}, ".threshold: "),
        (f"{CASCADE}/prompt", {"max_components": 0}, ".max_components: "),
        (f"{TRAIN}/lr", "1e-4", ": Input should be a valid number, got '1e-4'"),  # YAML's 1e-4, without a dot
        (f"{TRAIN}/trainable", ["all", "all"], "finetune.em-sam-20.train: trainable names something twice"),
        (f"{TRAIN}/prompt", {"clicks": 3}, "finetune.em-sam-20.train: prompt: clicks in several steps is for the test"),
        (f"{TRAIN}/prompt", {"box": True, "jitter": [0, 0.1]}, "finetune.em-sam-20.train: prompt: jitter in several"),
        (f"{TRAIN}/lora", {"rank": 4}, "finetune.em-sam-20.train: lora belongs to trainable: [lora]"),
        (f"{TRAIN}/prompt", {"automatic": True}, "finetune.em-sam-20.train: prompt: automatic masks have no prompts"),
        (f"{TRAIN}/batch_size", "all", ": "),
        (f"{TRAIN}/augment", {"rotate": 200.0}, ".rotate: "),
        (f"{TRAIN}/augment", {"flip": True}, ".flip: "),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_one_line_that_names_it(key, value, words):
    message = refusal(parse, changed(key, value))
    assert message.startswith(f"params.yaml: {key.replace('/', '.') if words[0] in '.:' else ''}{words}"), message


def test_of_several_wrong_keys_the_first_is_named_and_a_value_of_many_lines_stays_one_line():
    assert refusal(parse, {**GOOD, "a": 1, "b": 2, "c": 3}).endswith("(and 2 more)")
    refusal(parse, changed(f"{PROMPT}/sampling", "a\nb\nc"))
    with pytest.raises(ValueError):
        parse(GOOD).seed = 1  # frozen


@pytest.fixture
def file(tmp_path):
    """Writes a mapping, or bytes, to params.yaml; returns its path."""

    def write(content):
        path = tmp_path / "params.yaml"
        path.write_bytes(content if isinstance(content, bytes) else yaml.safe_dump(content).encode())
        return path

    return write


@pytest.mark.parametrize("read", [ParamsFile, study.load])
def test_a_file_that_is_no_mapping_or_has_a_wrong_key_is_refused_by_its_name(read, file, tmp_path):
    assert refusal(read, tmp_path / "params.yaml").startswith(f"{tmp_path / 'params.yaml'}: not found")
    for text in (b"seed: [1\nscale: }", b"seed: 1\n\tscale: 2", b"seed: 2024-13-45", b"seed: \xff\xfe",
                 b"seed: !!python/object:os.system ls"):  # fmt: skip
        assert refusal(read, path := file(text)).startswith(f"{path}: not valid YAML")
    for text in (b"", b"- a\n- b", b"42"):
        assert refusal(read, path := file(text)).startswith(f"{path}: a mapping of sections is expected")
    assert refusal(study.load, path := file({**GOOD, "sed": 1})).startswith(f"{path}: sed: ")


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


def test_an_unknown_entry_lists_the_known_ones_and_an_empty_one_has_the_defaults(file):
    given = ParamsFile(path := file(GOOD))
    refused(lambda: given.model("x"), f"{path}: unknown entry 'x' in models; known: sam, unet")
    refused(lambda: given.entry("zero-shot", "x", runs.Run), "unknown entry 'x' in zero-shot; known: ")
    refused(lambda: ParamsFile(file({"datasets": [1]})).dataset("em"), "unknown entry 'em' in datasets; known: none")
    assert ParamsFile(file({"models": {"sam": None}})).model("sam") == params.Model()


@pytest.mark.parametrize("header, key", [({"seed": -1}, "seed"), ({"scale": {"data": "all"}}, "scale.data")])
def test_seed_and_scale_are_checked_for_every_stage(header, key, file):
    path = file({**GOOD, **header})
    refused(lambda: ParamsFile(path), f"{path}: {key}: ")


def test_missing_train_settings_are_those_of_the_model():
    defaults = {"trainable": ["mask_decoder"], "loss": "dice", "lr": 1e-4, "batch_size": 2}
    config = Train(epochs=3, lr=0.1).completed(defaults)
    assert (config.trainable, config.loss, config.lr, config.batch_size) == (["mask_decoder"], "dice", 0.1, 2)
    assert Train(epochs=3).completed({}) == Train(epochs=3)
    assert [Train(epochs=1, batch_size=size).images_per_batch for size in (3, "auto")] == [3, 8]
