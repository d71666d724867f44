"""Cascades: predictions of one run become prompts of SAM, and the masks of a class are united."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from box_segmenter import BoxSegmenter
from promptseg import models
from promptseg.core.runs import Cascade, CascadePrompt
from promptseg.data import records
from promptseg.inference import cascade, prediction
from promptseg.inference.class_maps import predict_classes
from promptseg.inference.component_prompts import component_prompts
from promptseg.nn import weights
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.mask import Mask
from promptseg.prompts.points import Points
from refusing import refused

SIZE = (40, 80)  # height and width of the images


def boxes_map(*boxes) -> np.ndarray:
    """A probability map of 0.9 in the boxes (x0, y0, x1, y1) and of 0.1 elsewhere."""
    out = np.full(SIZE, 0.1, np.float32)
    for x0, y0, x1, y1 in boxes:
        out[y0:y1, x0:x1] = 0.9
    return out


class Rows(list):
    """Predictions in the place of a reader."""

    metadata: dict


def refine(*maps: np.ndarray, keep_aspect: bool = True, **prompt) -> tuple[np.ndarray, list[Prompt], list[dict]]:
    """Masks (classes, h, w) of one image, the prompts in pixels of the input, and those that are stored."""
    segmenter = BoxSegmenter(160, keep_aspect, (2, 2 if keep_aspect else 4))
    record = SimpleNamespace(id="a", height=SIZE[0], width=SIZE[1])
    row = records.Prediction("a", records.pack(np.stack(maps)), json.dumps([{"target": 1, "text": "spots"}]))
    coarse = Rows([row])
    coarse.metadata = {"classes": [f"class {i}" for i, _ in enumerate(maps)]}
    job = SimpleNamespace(
        segmenter=segmenter, records=[record], features=lambda indexes: segmenter.encode([None] * len(indexes))
    )
    refined = cascade._refine(job, coarse, 0, config("sam", **{"by": "box", **prompt}))
    return records.unpack(refined, len(maps)) >= 128, segmenter.prompts, json.loads(refined.prompts)


@pytest.mark.parametrize("keep_aspect, box", [(True, [40, 20, 80, 60]), (False, [40, 40, 80, 120])])
@pytest.mark.parametrize("by", ["box", "mask"])
def test_a_component_becomes_a_prompt_at_its_place_in_the_input(keep_aspect, box, by):
    masks, (prompt,), _ = refine(boxes_map((20, 10, 40, 30)), keep_aspect=keep_aspect, by=by)
    if by == "box":
        assert prompt.get("box").corners.tolist() == [*box[:2], box[2] - 2, box[3] - (2 if keep_aspect else 4)]
    else:
        ys, xs = np.nonzero(prompt.get("mask").values > 0.5)
        assert [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] == box
    assert np.array_equal(masks[0], boxes_map((20, 10, 40, 30)) > 0.5)


def test_components_are_prompted_one_by_one_and_their_masks_united():
    masks, prompts, stored = refine(boxes_map((0, 0, 10, 5), (40, 20, 80, 40)))
    assert [prompt.get("box").corners.tolist() for prompt in prompts] == [[80, 40, 158, 78], [0, 0, 18, 8]]
    assert masks[0, :5, :10].all() and masks[0, 20:, 40:].all() and masks.sum() == 50 + 800
    boxes = [{"target": 1, "box": [40.0, 20.0, 79.0, 39.0]}, {"target": 1, "box": [0.0, 0.0, 9.0, 4.0]}]
    assert stored == [{"target": 1, "text": "spots"}, *boxes], "prompts of both runs"


def test_each_class_has_its_own_masks_and_none_without_a_component():
    masks, prompts, _ = refine(boxes_map((0, 0, 20, 40)), boxes_map(), boxes_map((40, 0, 60, 40)))
    assert [prompt.target for prompt in prompts] == [1, 3]
    expected = [boxes_map((0, 0, 20, 40)), boxes_map(), boxes_map((40, 0, 60, 40))]
    assert np.array_equal(masks, np.stack(expected) > 0.5)
    masks, prompts, _ = refine(boxes_map((5, 5, 7, 7)), min_area=0.01)
    assert not masks.any() and prompts == []


@torch.no_grad()
@pytest.mark.parametrize("name", ["sam", "sam2"])
def test_refined_maps_are_the_models_own_predictions_for_the_prompts(name):
    """One component: the result is what the model predicts for the prompt that is built from it."""
    model = models.load(name).create("tiny", 0)
    scale = model.transform.scale(36, 48)
    features = model.encode([np.random.default_rng(0).integers(0, 256, (36, 48, 3), np.uint8)])
    probability = np.zeros((36, 48), np.float32)
    probability[12:30, 6:40] = 0.9
    for by in ("points", "mask", "box + points", "box + mask"):
        (prompt,) = component_prompts(probability, CascadePrompt(by=by))
        maps = predict_classes(model, features, [prompt], (1, 36, 48)).probability
        parts = []
        if "points" in by:
            points = prompt.get("points")
            parts.append(Points(points.coordinates * scale, points.labels))
        if "box" in by:
            parts.append(Box((np.array([[6.0, 12], [39, 29]]) * scale).ravel()))
        if "mask" in by:
            parts.append(Mask(model.transform.from_image(probability, 256)))
        logits = model.transform.to_image(model.decode(features, [[Prompt.of(*parts)]])[0], 36, 48)
        torch.testing.assert_close(torch.from_numpy(maps), torch.sigmoid(logits))


@pytest.fixture
def project(blobs, tmp_path):
    """A split, a checkpoint of SAM, and how predictions of another run are written and refined."""
    path = blobs("test", 3, size=(48, 60), empty=(2,))
    store(tmp_path / "checkpoint", "sam")
    split, inputs = records.open_split(path), prediction.Inputs(path, tmp_path / "checkpoint", tmp_path / "embeddings")

    def run(model: str = "sam", prefix: str = "", oracle: bool = False, generated: str = "") -> Path:
        """Refine predictions that are the masks of the split as probability maps."""
        metadata = {"classes": ["disc"], "model": "clipseg", "prompt": {}, "oracle": oracle}
        with records.RecordWriter(tmp_path / "coarse.parquet", records.Prediction, metadata) as writer:
            for record in split:
                packed = records.pack(np.where(records.mask(record) == 1, 0.9, 0.1)[None].astype(np.float32))
                writer.add(records.Prediction(prefix + record.id, b"" if generated else packed, "[]", generated))
        cascade.predict_cascade(config(model), inputs, tmp_path / "coarse.parquet", tmp_path / "out.parquet")
        return tmp_path / "out.parquet"

    return SimpleNamespace(folder=tmp_path, split=split, run=run)


def store(folder: Path, name: str) -> None:
    model = models.load(name).create("tiny", 0)
    weights.write(folder, model.configuration(), model.state_dict())


def config(model: str, **prompt) -> Cascade:
    return Cascade(**{"dataset": "em", "model": model, "from": "coarse", "prompt": CascadePrompt(**prompt)})


@pytest.mark.parametrize("oracle", [False, True])
def test_a_cascade_writes_a_prediction_for_each_record_in_order(project, oracle):
    refined = records.open_predictions(project.run(oracle=oracle))
    assert refined.column("id") == project.split.column("id")
    assert refined.metadata == {
        "classes": ["disc"], "model": "sam", "prompt": CascadePrompt().model_dump(), "oracle": oracle,
    }  # fmt: skip
    assert json.loads(refined[2].prompts) == [] and records.unpack(refined[2], 1).max() == 0  # no disc
    assert {"target", "points", "labels", "box"} == json.loads(refined[0].prompts)[0].keys()
    assert records.unpack(refined[0], 1).shape == (1, 48, 60)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"prefix": "other/"}, "coarse.parquet: predictions of another split"),
        ({"generated": '[{"segmentation": {}}]'}, "coarse.parquet: automatic masks, which have no probability maps"),
        ({"model": "medsam"}, "params.yaml: medsam takes no points, boxes and masks"),
    ],
)
def test_predictions_and_models_that_do_not_fit_are_refused_before_anything_is_encoded(project, given, message):
    store(project.folder / "checkpoint", given.get("model", "sam"))
    refused(lambda: project.run(**given), message)
    assert not (project.folder / "out.parquet").exists() and not (project.folder / "embeddings").exists()
