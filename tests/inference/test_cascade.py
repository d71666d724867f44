"""Cascades: predictions of one run become prompts of SAM, and the masks of a class are united."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core.runs import Cascade, CascadePrompt
from promptseg.data import records
from promptseg.inference import cascade, prediction
from promptseg.nn import weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.mask import Mask
from promptseg.prompts.points import Points
from refusing import refused

SIZE = (40, 80)  # height and width of the images


class BoxSegmenter(Segmenter):
    """Logits of 3 inside the box, or the mask, and of -3 elsewhere; records the prompts that it gets."""

    NAME, PROMPTS = "boxes", frozenset({"points", "box", "mask"})

    def __init__(self, keep_aspect: bool = True):
        super().__init__()
        self.transform, self.prompts = ImageTransform(160, keep_aspect, (0, 0, 0), (1, 1, 1)), []

    def encode(self, images):
        return {"image": torch.zeros(len(images), 1)}

    def decode(self, features, prompts):
        self.prompts += prompts[0]
        out = torch.full((1, len(prompts[0]), 160, 160), -3.0)
        for logits, prompt in zip(out[0], prompts[0]):
            if prompt.get("mask"):
                logits[prompt.get("mask").values > 0.5] = 3.0
            else:
                x0, y0, x1, y1 = prompt.get("box").corners.round().astype(int)
                logits[y0:y1, x0:x1] = 3.0
        return out


def boxes_map(*boxes) -> np.ndarray:
    """A probability map of 0.9 in the boxes (x0, y0, x1, y1) and of 0.1 elsewhere."""
    out = np.full(SIZE, 0.1, np.float32)
    for x0, y0, x1, y1 in boxes:
        out[y0:y1, x0:x1] = 0.9
    return out


def refine(*maps: np.ndarray, keep_aspect: bool = True, **prompt) -> tuple[np.ndarray, list[Prompt], list[dict]]:
    """Masks (classes, h, w) of one image, the prompts in pixels of the input, and those that are stored."""
    segmenter = BoxSegmenter(keep_aspect)
    record = SimpleNamespace(id="a", height=SIZE[0], width=SIZE[1])
    row = records.Prediction("a", records.pack(np.stack(maps)), json.dumps([{"target": 1, "text": "spots"}]))
    coarse = FakeReader([row], {"classes": [f"class {i}" for i, _ in enumerate(maps)]})
    job = SimpleNamespace(
        segmenter=segmenter, records=[record], features=lambda indexes: segmenter.encode([None] * len(indexes))
    )
    run = Cascade(**{"dataset": "d", "model": "sam", "from": "r", "prompt": CascadePrompt(**{"by": "box", **prompt})})
    refined = cascade._refine(job, coarse, 0, run)
    return records.unpack(refined, len(maps)) >= 128, segmenter.prompts, json.loads(refined.prompts)


class FakeReader(list):
    def __init__(self, rows, metadata):
        super().__init__(rows)
        self.metadata = metadata


@pytest.mark.parametrize("keep_aspect, box", [(True, [40, 20, 80, 60]), (False, [40, 40, 80, 120])])
@pytest.mark.parametrize("by", ["box", "mask"])
def test_a_component_becomes_a_prompt_at_its_place_in_the_input(keep_aspect, box, by):
    masks, (prompt,), _ = refine(boxes_map((20, 10, 40, 30)), keep_aspect=keep_aspect, by=by)
    if by == "box":
        assert prompt.get("box").corners.tolist() == box
    else:
        ys, xs = np.nonzero(prompt.get("mask").values > 0.5)
        assert [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] == box
    assert np.array_equal(masks[0], boxes_map((20, 10, 40, 30)) > 0.5)


def test_components_are_prompted_one_by_one_and_their_masks_united():
    masks, prompts, _ = refine(boxes_map((0, 0, 10, 5), (40, 20, 80, 40)))
    assert [prompt.get("box").corners.tolist() for prompt in prompts] == [[80, 40, 160, 80], [0, 0, 20, 10]]
    assert masks[0, :5, :10].all() and masks[0, 20:, 40:].all() and masks.sum() == 50 + 800


def test_a_class_without_a_component_is_zero_and_not_prompted():
    masks, prompts, _ = refine(boxes_map(), boxes_map((0, 0, 10, 10)))
    assert not masks[0].any() and masks[1].any() and [prompt.target for prompt in prompts] == [2]
    masks, prompts, _ = refine(boxes_map((5, 5, 7, 7)), min_area=0.01)
    assert not masks.any() and prompts == []


def test_each_class_has_its_own_masks():
    masks, prompts, _ = refine(boxes_map((0, 0, 20, 40)), boxes_map((40, 0, 60, 40)))
    assert [prompt.target for prompt in prompts] == [1, 2]
    assert np.array_equal(masks[0], boxes_map((0, 0, 20, 40)) > 0.5)
    assert np.array_equal(masks[1], boxes_map((40, 0, 60, 40)) > 0.5)


def test_prompts_of_both_runs_are_stored():
    _, _, stored = refine(boxes_map((20, 10, 40, 30)))
    assert stored == [{"target": 1, "text": "spots"}, {"target": 1, "box": [20.0, 10.0, 40.0, 30.0]}]


@pytest.mark.parametrize("by", ["points", "mask", "box + points", "box + mask"])
@pytest.mark.parametrize("name", ["sam", "sam2"])
def test_refined_maps_are_the_models_own_predictions_for_the_prompts(name, by):
    """One component: the result is what the model predicts for the prompt that is built from it."""
    model = models.load(name).create("tiny", 0)
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    probability = np.zeros((48, 48), np.float32)
    probability[12:36, 6:30] = 0.9
    (prompt,) = cascade.component_prompts(probability, CascadePrompt(by=by))
    with torch.no_grad():
        features = model.encode([image])
        maps = prediction.probability_maps(model, features, [prompt], (1, 48, 48))
        parts = []
        if "points" in by:
            points = prompt.get("points")
            parts.append(Points(points.coordinates * 256 / 48, points.labels))
        if "box" in by:
            parts.append(Box(np.array([6.0, 12, 30, 36]) * 256 / 48))
        if "mask" in by:
            parts.append(Mask(model.transform.from_image(probability, 256)))
        logits = model.transform.to_image(model.decode(features, [[Prompt.of(*parts)]])[0], 48, 48)
    torch.testing.assert_close(torch.from_numpy(maps), torch.sigmoid(logits))


@pytest.fixture
def project(blobs, tmp_path):
    """A split, a checkpoint of SAM, predictions of another run, and a way to run the cascade on them."""
    split = blobs("test", 5, size=(48, 60), empty=(2,))
    model = models.load("sam").create("tiny", 0)
    weights.write(tmp_path / "checkpoint", model.configuration(), model.state_dict())
    coarse = write_predictions(tmp_path / "coarse.parquet", records.open_split(split))
    (tmp_path / "params.yaml").write_text(
        "datasets: {em: {raw: data/raw/em, reader: em}}\nmodels: {sam: {}}\n"
        "cascade: {r: {dataset: em, model: sam, from: coarse, prompt: {by: box + points}}}\n"
    )
    return SimpleNamespace(folder=tmp_path, split=split, coarse=coarse, run=lambda: run_of(tmp_path))


def run_of(folder) -> tuple[Cascade, prediction.Inputs]:
    run = Cascade(**{"dataset": "em", "model": "sam", "from": "coarse"})
    return run, prediction.Inputs(folder / "test.parquet", folder / "checkpoint", folder / "embeddings")


def write_predictions(path, split, ids=None, oracle=False, generated=""):
    """Predictions with the masks of the split as probability maps."""
    metadata = {"classes": split.metadata["classes"], "model": "clipseg", "prompt": {}, "oracle": oracle, "seed": 7}
    with records.RecordWriter(path, records.Prediction, metadata) as writer:
        for record, id in zip(split, ids or split.column("id")):
            probability = np.where(records.mask(record) == 1, np.float32(0.9), np.float32(0.1))[None]
            writer.add(records.Prediction(id, b"" if generated else records.pack(probability), "[]", generated))
    return path


def test_a_cascade_writes_a_prediction_for_each_record_in_order(project):
    run, inputs = project.run()
    cascade.predict_cascade(run, inputs, project.coarse, project.folder / "out.parquet")
    refined, split = records.open_predictions(project.folder / "out.parquet"), records.open_split(project.split)
    assert refined.column("id") == split.column("id")
    assert refined.metadata == {
        "classes": ["disc"], "model": "sam", "prompt": run.prompt.model_dump(), "oracle": False, "seed": 7,
    }  # fmt: skip
    assert json.loads(refined[2].prompts) == [] and records.unpack(refined[2], 1).max() == 0  # no disc
    assert {"target", "points", "labels", "box"} == json.loads(refined[0].prompts)[0].keys()
    assert records.unpack(refined[0], 1).shape == (1, 48, 60)


@pytest.mark.parametrize("oracle", [False, True])
def test_the_oracle_flag_is_that_of_the_other_run(project, oracle):
    coarse = write_predictions(project.folder / "o.parquet", records.open_split(project.split), oracle=oracle)
    cascade.predict_cascade(*project.run(), coarse, project.folder / "out.parquet")
    assert records.open_predictions(project.folder / "out.parquet").metadata["oracle"] is oracle


def test_predictions_of_another_split_are_refused(project):
    ids = [f"other/{i}" for i in range(5)]
    coarse = write_predictions(project.folder / "other.parquet", records.open_split(project.split), ids)
    out = project.folder / "out.parquet"
    refused(lambda: cascade.predict_cascade(*project.run(), coarse, out), coarse, "predictions of another split")
    assert not out.exists() and not (project.folder / "embeddings").exists(), "encoded before the check"


def test_automatic_masks_are_refused(project):
    split = records.open_split(project.split)
    coarse = write_predictions(project.folder / "auto.parquet", split, generated='[{"segmentation": {}}]')
    out = project.folder / "out.parquet"
    refused(lambda: cascade.predict_cascade(*project.run(), coarse, out), coarse, "automatic masks")
    assert not out.exists() and not (project.folder / "embeddings").exists(), "encoded before the check"


def test_a_model_without_the_prompts_of_a_cascade_is_refused(project):
    model = models.load("medsam").create("tiny", 0)
    weights.write(project.folder / "checkpoint", model.configuration(), model.state_dict())
    run, inputs = project.run()
    run = run.model_copy(update={"model": "medsam"})
    out = project.folder / "out.parquet"
    refused(
        lambda: cascade.predict_cascade(run, inputs, project.coarse, out), "medsam takes no points, boxes and masks"
    )


def test_one_and_two_processes_write_the_same_bytes(project, root):
    def run(out: str, processes: int) -> bytes:
        stage = [
            str(root / "stages/cascade.py"),
            "r",
            "test.parquet",
            "coarse.parquet",
            "checkpoint",
            "embeddings",
            out,
        ]
        launcher = [sys.executable]
        if processes > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        env = {**os.environ, "PYTHONPATH": str(root / "stages")}
        done = subprocess.run(
            [*launcher, *stage], cwd=project.folder, env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return (project.folder / out).read_bytes()

    assert run("one.parquet", 1) == run("two.parquet", 2)
