"""Runs in several steps: correcting clicks against their definition, and curves over jitter and offset."""

import json

import numpy as np
import pytest
import torch
from handmade_splits import summary, whole, write
from promptseg import models
from promptseg.core.runs import Run
from promptseg.data import masks, records
from promptseg.data.records import Prediction
from promptseg.evaluation import evaluate, score_table, sweep
from promptseg.inference import prediction, sweeps
from promptseg.nn import weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import PromptConfig, PromptSource, to_json
from reference_clicks import reference_ious, reference_noc
from refusing import refused

SIZE, CLICKS = 32, 20


class Filler(Segmenter):
    """Fills what is clicked: the cell of the image around the last click, in the last prediction."""

    NAME, PROMPTS = "filler", frozenset({"clicks"})
    transform = ImageTransform(SIZE, False, (0, 0, 0), (1, 1, 1))
    device = torch.device("cpu")

    def __init__(self, cells: np.ndarray):
        super().__init__()
        self.cells, self.batches = cells, []

    def decode(self, features, prompts):
        return self.refine(features, prompts[0], torch.full((len(prompts[0]), SIZE, SIZE), -3.0))[None]

    def refine(self, features, prompts, logits):
        self.batches.append(len(prompts))
        out = logits.clone()
        for each, prompt in zip(out, prompts, strict=True):
            (x, y), label = prompt.get("points").coordinates[-1], prompt.get("points").labels[-1]
            each[torch.from_numpy(self.cell(x, y))] = 3.0 if label else -3.0
        return out

    def cell(self, x: float, y: float) -> np.ndarray:
        return self.cells == self.cells[int(y), int(x)]

    def fill(self, filled: np.ndarray, x: float, y: float, label: int) -> np.ndarray:
        return np.where(self.cell(x, y), bool(label), filled)


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A random mask with ignored pixels, and cells, of which some do not follow it, so that not all IoUs reach 0.9."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for _ in range(rng.integers(1, 4)):
        center, radii = rng.uniform(0, SIZE, 2), rng.uniform(3, 10, 2)
        mask[((x - center[0]) / radii[0]) ** 2 + ((y - center[1]) / radii[1]) ** 2 < 1] = 1
    mask[rng.random(mask.shape) < 0.03] = 255
    mask[SIZE // 2, SIZE // 2] = 1  # no mask is empty
    centers = rng.uniform(0, SIZE, (rng.integers(8, 60), 2))
    cells = ((x[..., None] - centers[:, 0]) ** 2 + (y[..., None] - centers[:, 1]) ** 2).argmin(axis=2)
    follows = rng.random(len(centers)) < 0.7
    return mask, 2 * cells + ((mask == 1) & follows[cells])


@pytest.mark.parametrize("per", ["image", "instance"])
def test_iou_by_clicks_and_noc_equal_those_of_their_definition_on_200_random_masks(tmp_path, per):
    config, rows, predictions, expected = PromptConfig(clicks=CLICKS, per=per), [], [], []
    for seed in range(200):
        mask, cells = scene(seed)
        model, source = Filler(cells), PromptSource(f"i{seed}", mask, ["disc"], 0)
        swept = sweeps.predict_sweep(model, lambda: {"image": torch.zeros(1)}, config, source)
        objects = [region.full() for region in masks.regions(mask == 1, per == "instance")]
        expected += [reference_ious(each, mask != 255, model.fill, CLICKS) for each in objects]
        rows.append(whole(source.id, source.id, np.zeros((SIZE, SIZE, 3), np.uint8), mask))
        predictions.append(Prediction(source.id, swept.maps.packed(), to_json(swept.prompts), sweep=swept.scores))
    about = {"oracle": True, "sweep": {"by": "clicks", "steps": list(config.sweep.steps)}}
    split, predicted = write(tmp_path, rows, predictions, metadata=about)
    read = records.open_split(split), records.open_predictions(predicted)
    found = sweep.read(*read, [[index] for index in range(200)])
    np.testing.assert_allclose(found.ious, expected, atol=1e-6)
    for level in (0.8, 0.85, 0.9):
        noc, failures = reference_noc(expected, level)
        assert found.number_of_clicks(level) == pytest.approx(noc) and found.failures(level) == failures
        assert 1 < noc < CLICKS and failures > 0
    if per == "image":
        curve = [row["iou"] for row in found.curve()]
        np.testing.assert_allclose(curve, np.mean(expected, axis=0), atol=1e-5)
        assert summary(tmp_path, split, predicted)["iou_mean"] == curve[-1]


def test_an_object_without_errors_is_not_clicked_again_and_the_others_are():
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[2:8, 2:8] = mask[20:30, 20:30] = 1
    cells = np.zeros_like(mask, int)
    cells[2:8, 2:8], cells[20:30, 20:25], cells[20:30, 25:30] = 1, 2, 3
    model, source = Filler(cells), PromptSource("a", mask, ["disc"], 0)
    calls = []
    swept = sweeps.predict_sweep(
        model, lambda: calls.append(1) or {"image": torch.zeros(1)}, PromptConfig(clicks=4, per="instance"), source
    )
    assert calls == [1] and model.batches == [2, 1]
    assert json.loads(swept.scores) == {
        "counts": [[[86, 0, 50]], *[[[136, 0, 0]]] * 3], "objects": [[1.0] * 4, [0.5, 1.0, 1.0, 1.0]]
    }  # fmt: skip
    assert [prompt.effort for prompt in swept.prompts] == [1, 2]
    assert np.array_equal(swept.maps.probability[0] > 0.5, mask == 1)


def test_nothing_is_encoded_where_there_is_nothing_to_click_on():
    source = PromptSource("a", np.zeros((SIZE, SIZE), np.uint8), ["disc"], 0)
    swept = sweeps.predict_sweep(Filler(source.mask), lambda: pytest.fail("encoded"), PromptConfig(clicks=3), source)
    assert json.loads(swept.scores) == {"counts": [[[0, 0, 0]]] * 3, "objects": []} and not swept.prompts


@pytest.fixture
def predicted(blobs, tmp_path):
    """Predicts a split with a tiny SAM; returns the path of the predictions, and the split's."""
    model = models.load("sam").create("tiny", 0)
    weights.write(tmp_path / "w", model.configuration(), model.state_dict())
    split = blobs("test", 6, size=(48, 60), empty=(5,))

    def predict(prompt: dict):
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
        run = Run(dataset="em", model="sam", prompt=PromptConfig(**prompt))
        prediction.predict(run, prediction.Inputs(split, tmp_path / "w", tmp_path / "e"), out)
        return out, split

    return predict


def scored(out, split, folder) -> tuple[dict, list[str]]:
    """The summary of a run, and the lines of its curve."""
    outputs = evaluate.Outputs(folder / "m.json", folder / "s.parquet", folder / "plots")
    evaluate.evaluate(split, out, outputs)
    return score_table.read_summary(outputs.scores), (outputs.plots / evaluate.SWEEP).read_text().splitlines()


@pytest.mark.parametrize("start", ["point", "box"])
def test_the_scores_after_the_last_click_are_those_of_the_run(predicted, tmp_path, start):
    out, split = predicted({"clicks": 3, "start": start, "per": "instance"})
    found, lines = scored(out, split, tmp_path / "scored")
    steps = [0, 1, 2, 3] if start == "box" else [1, 2, 3]
    assert found["sweep"]["by"] == "clicks" and found["sweep"]["steps"] == steps
    assert found["sweep"]["iou"][-1] == found["iou_mean"]
    assert found["sweep"]["objects"] == 6 and found["sweep"]["failures"]["80"] <= 6
    assert 0 <= found["noc_80"] <= found["noc_85"] <= found["noc_90"] <= 3
    assert lines[0] == "step,iou,iou_ci_low,iou_ci_high" and lines[-1].startswith(f"3,{found['iou_mean']},")
    assert found["prompts_per_image"] == pytest.approx(6 / 5 * len(steps))
    assert "threshold" not in records.open_predictions(out).metadata


@pytest.mark.parametrize("exact, key", [({"box": True}, "jitter"), ({"points": 1, "per": "instance"}, "offset")])
def test_a_sweep_has_the_scores_of_a_run_for_each_value_and_is_the_run_of_the_first(predicted, tmp_path, exact, key):
    values = [0, 0.1, 0.3]
    out, split = predicted({**exact, key: values})
    found, _ = scored(out, split, tmp_path / "swept")
    assert (found["sweep"]["by"], found["sweep"]["steps"]) == (key, values)
    for value, iou in zip(values, found["sweep"]["iou"], strict=True):
        other, _ = predicted({**exact, key: value})
        assert summary(tmp_path / str(value), split, other)["iou_mean"] == iou
        one, swept = records.open_predictions(other), records.open_predictions(out)
        assert (one.column("prompts") == swept.column("prompts")) == (value == 0)
        assert one.column("probability") == swept.column("probability") or value > 0


def test_a_damaged_column_is_named(tmp_path):
    mask, _ = scene(0)
    rows = [whole("a", "a", np.zeros((SIZE, SIZE, 3), np.uint8), mask)]
    broken = Prediction("a", records.pack(np.zeros((1, SIZE, SIZE))), "[]", sweep='{"counts": [[[1, 2, 3]]]}')
    about = {"oracle": True, "sweep": {"by": "clicks", "steps": [1, 2]}}
    split, predictions = write(tmp_path, rows, [broken], metadata=about)
    message = f"{predictions}: its column sweep is damaged; delete it and run `dvc repro`"
    refused(lambda: summary(tmp_path, split, predictions), message)
