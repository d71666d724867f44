"""A project with tiny networks in which a run of each kind was predicted and evaluated on a few drawn images."""

import numpy as np
import pytest
import torch
import yaml
from promptseg import models
from promptseg.core import params, study
from promptseg.core.runs import Cascade, FineTune
from promptseg.core.train_config import Lora
from promptseg.data import image_io, records
from promptseg.download import checkpoints
from promptseg.evaluation import evaluate
from promptseg.export import export
from promptseg.export.run import ExportedRun, Folders
from promptseg.inference import cascade, prediction
from promptseg.nn import finetuned_weights, lora, weights

CLASSES = ["disc", "square"]
SIZE = 120, 160
TRAINED = {
    "cells-lora": "network.mask_decoder.",
    "cells-sam2-20": "network.mask_decoder.trans",
    "cells-unet": "network.",
}
THRESHOLDS = {"cells-lora": 0.35, "cells-sam2-20": 0.55, "cells-unet": 0.35}
RELATIVES = ("edgetam", "sam_hq", "sam3_tracker")  # of SAM, without tiny weights
SETTINGS = {
    "scale": {"checkpoints": "tiny"},
    "datasets": {"cells": {"raw": "cells", "reader": "folder"}, "clouds": {"raw": "clouds", "reader": "modelnet40"}},
    "models": {
        name: {}
        for name in (
            *RELATIVES, "sam", "sam2", "medsam", "clipseg", "unet", "unet_box", "clip_decoder_unet", "whole_image",
            "pointclip",
        )
    },
    "zero_shot": {
        "cells-sam": {"dataset": "cells", "model": "sam", "prompt": {"points": 1}},
        "cells-sam2": {"dataset": "cells", "model": "sam2", "prompt": {"box": True, "per": "instance"}},
        "cells-edgetam": {"dataset": "cells", "model": "edgetam", "prompt": {"box": True, "per": "instance"}},
        "cells-hq": {"dataset": "cells", "model": "sam_hq", "prompt": {"box": True, "per": "instance"}},
        "cells-sam3": {"dataset": "cells", "model": "sam3_tracker", "prompt": {"points": 1}},
        "cells-medsam": {"dataset": "cells", "model": "medsam", "prompt": {"box": True}},
        "cells-clipseg": {"dataset": "cells", "model": "clipseg", "prompt": {"text": ["a disc", 'the "square"']}},
        "cells-box": {"dataset": "cells", "model": "unet_box", "prompt": {"box": True}},
        "cells-clip": {"dataset": "cells", "model": "clip_decoder_unet", "prompt": {"text": "class"}},
        "cells-floor": {"dataset": "cells", "model": "whole_image", "prompt": {}},
        "clouds-text": {"dataset": "clouds", "model": "pointclip", "prompt": {"text": "class"}},
    },
    "cascade": {"cells-cascade": {"dataset": "cells", "from": "cells-clipseg", "model": "sam"}},
    "finetune": {
        "cells-lora": {
            "dataset": "cells", "model": "sam", "prompt": {"points": 1},
            "train": {"prompt": {"points": 1}, "epochs": 2, "trainable": ["lora", "mask_decoder"]},
        },
        "cells-sam2-20": {
            "dataset": "cells", "model": "sam2", "prompt": {"points": 1},
            "train": {"prompt": {"points": 1}, "epochs": 2, "trainable": ["lora", "mask_decoder"]},
        },
        "cells-unet": {"dataset": "cells", "model": "unet", "prompt": {}, "train": {"epochs": 2}},
    },
}  # fmt: skip


def make(home):
    """Write a project; returns its params.yaml. The working directory has to be `home`."""
    (home / "params.yaml").write_text(yaml.safe_dump(SETTINGS))
    settings = study.load(home / "params.yaml")
    split = home / "data/prepared/cells/test.parquet"
    write_split(split)
    for number in ("train", "val"):
        (split.parent / f"{number}.parquet").symlink_to(split)
    write_clouds(home / "data/prepared/clouds/test.parquet")
    (home / "data/summaries").mkdir()
    (home / "data/summaries/cells.json").write_text('{"train": {"images": 5}}')
    for name in sorted({run.model for run in settings.runs.values()} - {"pointclip"}):
        model = checkpoints.released(name, params.Model(), "tiny", 0)
        if name in RELATIVES:  # logits of the random ones are next to nothing
            _spread(model)
        weights.write(home / "data/checkpoints" / name, model.configuration(), model.state_dict(), model.files())
    for name, run in settings.runs.items():
        if run.dataset == "cells":
            _run(home / "data", name, run, split)
    return settings


def folders(home):
    """The pipeline's folders in a project."""
    return Folders(*(home / each for each in vars(Folders()).values()))


def write_split(path, count=6):
    """Discs and squares, numbered as instances, two of which touch; the last image has none."""
    metadata = {"classes": CLASSES, "dataset": "cells", "seed": 0, "score": "image", "group_unit": "plate"}
    metadata |= {"title": "Drawn cells", "licence": "none", "words": CLASSES}
    path.parent.mkdir(parents=True)
    with records.RecordWriter(path, records.Record, metadata) as out:
        for number in range(count):
            image, mask, instances = draw(number, empty=number == count - 1)
            pngs = image_io.encode_png(image), image_io.encode_png(mask)
            place = f"plate/{number}", 0, 0, *SIZE
            out.add(
                records.Record(
                    f"plate/{number}", f"g{number}", *pngs, *SIZE, *place, foreground=int(np.count_nonzero(mask)),
                    instances=image_io.encode_png(instances),
                )
            )  # fmt: skip


def draw(seed, empty=False, size=SIZE):
    """An image (h, w, 3) uint8, its mask and its instances."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    mask, instances = np.zeros(size, np.uint8), np.zeros(size, np.uint16)
    shapes = [] if empty else [
        (1, (x - 40) ** 2 + (y - 40 - seed) ** 2 < 400), (1, (x - 75) ** 2 + (y - 40 - seed) ** 2 < 300),
        (2, (abs(x - 120) < 20) & (abs(y - 80) < 15 + seed)),
    ]  # fmt: skip
    for number, (label, inside) in enumerate(shapes, 300):
        mask[inside], instances[inside] = label, number
    image = 90 + 60 * mask[..., None] + np.kron(rng.normal(0, 25, (size[0] // 8, size[1] // 8, 3)), np.ones((8, 8, 1)))
    return np.clip(image, 0, 255).astype(np.uint8), mask, instances


def write_clouds(path):
    path.parent.mkdir(parents=True)
    with records.RecordWriter(path, records.Record, {"classes": ["chair"], "modality": "point_cloud"}):
        pass


def _spread(model):
    """Draw matrices anew, so that logits are as far apart as those of a trained network."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.xavier_normal_(parameter)


def _run(data, name, run, split):
    """Predict and evaluate a run, with weights beside those of its checkpoint where it is fine-tuned."""
    out, checkpoint = data / "predictions" / f"{name}.parquet", data / "checkpoints" / run.model
    tuned = data / "weights" / name if isinstance(run, FineTune) else None
    if tuned:
        _write_weights(tuned, run, checkpoint)
    if isinstance(run, Cascade):
        inputs = prediction.Inputs(split, checkpoint, data / "embeddings")
        cascade.predict_cascade(run, inputs, data / f"predictions/{run.source}.parquet", out)
    else:
        prediction.predict(run, prediction.Inputs(split, checkpoint, data / "embeddings", tuned), out)
    outputs = evaluate.Outputs(data / f"m/{name}.json", data / f"scores/{name}.parquet", data / f"plots/{name}")
    evaluate.evaluate(split, out, outputs)


def _write_weights(folder, run, checkpoint):
    model = models.load(run.model).load(checkpoint, len(CLASSES))
    metadata = {
        "classes": CLASSES,
        "images": 5,
        "threshold": THRESHOLDS[folder.name],
        "train": run.train.completed(model.TRAIN_DEFAULTS).model_dump(exclude_defaults=True),
    }
    if "lora" in (run.train.trainable or []):
        metadata["lora"] = Lora().model_dump()
        lora.attach(model, model.LORA_TARGETS, Lora())
    torch.manual_seed(1)
    tensors = {
        key: value.detach() + 0.01 * torch.randn_like(value) for key, value in model.named_parameters()
        if key.startswith(TRAINED[folder.name]) or ".lora_" in key
    }  # fmt: skip
    finetuned_weights.write(folder, tensors, run.model, weights.digest(checkpoint), metadata)


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """Its folder and its params.yaml."""
    home = tmp_path_factory.mktemp("project")
    return home, make(home)


@pytest.fixture
def exported(project, tmp_path):
    """Exports a run of the project: (run, format, adapter) -> folder."""
    home, settings = project

    def call(name, form, adapter=False):
        out = tmp_path / f"{name}-{form}{'-adapter' * adapter}"
        export(ExportedRun(name, settings, folders(home)), form, out, adapter)
        return out

    return call
