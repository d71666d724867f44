"""The boxes of a detector: in the file of its predictions, and from there as the prompts of a cascade."""

import json

import numpy as np
import pytest
from promptseg import models, prompts
from promptseg.core.runs import Cascade, CascadePrompt, Run
from promptseg.data import masks, records
from promptseg.inference import cascade, detections, prediction
from promptseg.inference.class_maps import predict_classes
from promptseg.inference.prediction import Inputs
from promptseg.nn import weights
from promptseg.nn.segmenter import Detections
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.text import Text
from refusing import refused

SIZE = (40, 80)  # height and width of the images
BOX = CascadePrompt(by="box")
ROWS = [((10, 5, 30, 25), 0.9), ((12, 6, 32, 26), 0.8), ((60, 0, 99, 10), 0.7), ((0, 30, 80, 40), 0.4)]


def detected(*rows) -> Detections:
    """Of boxes and probabilities; scores are half of these."""
    boxes, probability = (np.array(column, np.float32) for column in zip(*rows, strict=True))
    return Detections(boxes, probability / 2, probability)


def corners(found: Detections, **config) -> list[list[float]]:
    made = detections.box_prompts([(2, found)], CascadePrompt(**{"by": "box", **config}), SIZE)
    assert all(prompt.target == 2 and [*prompt.parts] == ["box"] for prompt in made)
    return [prompt.get("box").corners.tolist() for prompt in made]


@pytest.mark.parametrize(
    "config, kept",
    [
        ({}, [0, 1, 2]),
        ({"threshold": 0.75}, [0, 1]),
        ({"threshold": 0.3}, [0, 1, 2, 3]),
        ({"threshold": 0.3, "min_area": 0.1}, [0, 1, 3]),  # the third has 200 pixels in the image
        ({"max_components": 1}, [0]),
        ({"threshold": 0.95}, []),
    ],
)
def test_boxes_that_reach_the_threshold_are_prompts_by_themselves_even_where_they_overlap(config, kept):
    # `Box` has the numbers of the first and the last pixel.
    expected = [[10, 5, 29, 24], [12, 6, 31, 25], [60, 0, 79, 9], [0, 30, 79, 39]]
    assert corners(detected(*ROWS), **config) == [expected[number] for number in kept]


def test_a_box_outside_the_image_is_none_and_one_within_a_pixel_has_no_width():
    assert corners(detected(((90, 0, 99, 10), 0.9), ((-9, -9, -1, -1), 0.9))) == []
    assert corners(detected(((10.25, 5, 10.75, 9), 0.9)), min_area=0.0) == [[10.25, 5, 10.25, 8]]


def test_boxes_are_kept_beside_their_prompts_and_other_predictions_are_as_they_were():
    image_prompts = [Prompt.of(Text("a cat")), Prompt.of(Text("ein Vögelchen"), target=2)]
    found = [detected(*ROWS[:2]), Detections(np.empty((0, 4)), np.empty(0), np.empty(0))]
    text = detections.to_json(image_prompts, found)
    assert json.loads(text)[0] == {
        "target": 1, "text": "a cat", "detections": [
            {"box": [10, 5, 30, 25], "score": 0.45, "probability": 0.9},
            {"box": [12, 6, 32, 26], "score": 0.4, "probability": 0.8},
        ],
    }  # fmt: skip
    (first, boxes), (second, none) = detections.from_json(text)
    assert (first, second) == (1, 2) and none.boxes.shape == (0, 4)
    for values, given in zip(boxes, found[0], strict=True):
        np.testing.assert_allclose(values, given)
    assert prompts.to_json(prompts.from_json(text)) == prompts.to_json(image_prompts), "figures read it as before"
    assert detections.to_json(image_prompts, ()) == prompts.to_json(image_prompts)
    assert detections.from_json(prompts.to_json(image_prompts)) is None


@pytest.fixture
def project(blobs, tmp_path):
    """A split and tiny checkpoints; `run` writes the predictions of a detector, `refine` those of its cascade."""
    split = blobs("test", 3, size=(48, 60), empty=(2,))

    def inputs(name: str) -> Inputs:
        model = models.load(name).create("tiny", 0)
        weights.write(tmp_path / name, model.configuration(), model.state_dict(), model.files())
        return Inputs(split, tmp_path / name, tmp_path / "embeddings")

    def run(name: str):
        settings = Run(dataset="em", model=name, prompt=prompts.PromptConfig(text=["a disc"]))
        prediction.predict(settings, inputs(name), tmp_path / f"{name}.parquet")
        return records.open_predictions(tmp_path / f"{name}.parquet")

    def refine(source: str, config: CascadePrompt = BOX):
        settings = Cascade(**{"dataset": "em", "model": "sam", "from": "coarse", "prompt": config})
        cascade.predict_cascade(settings, inputs("sam"), tmp_path / f"{source}.parquet", tmp_path / "out.parquet")
        return records.open_predictions(tmp_path / "out.parquet")

    return tmp_path, records.open_split(split), run, refine


@pytest.mark.parametrize("name", ["owlv2", "grounding_dino"])
def test_a_run_of_a_detector_keeps_its_boxes_and_its_cascade_takes_them(project, name):
    _, split, run, refine = project
    coarse = run(name)
    assert coarse.column("id") == split.column("id")
    refined = refine(name)
    assert refined.metadata["prompt"] == BOX.model_dump()
    for row, after in zip(coarse, refined, strict=True):
        found = detections.from_json(row.prompts)
        assert len(found) == 1 and len(found[0][1].boxes) > 0
        inside = records.unpack(row, 1)[0] >= 128
        assert inside.any() == (found[0][1].probability >= 0.5).any()
        expected = detections.box_prompts(found, BOX, (48, 60))
        entries = json.loads(after.prompts)
        assert entries[0] == {"target": 1, "text": "a disc"}
        assert entries[1:] == json.loads(prompts.to_json(expected)) and len(entries) > 1


def test_sam_refines_the_boxes_that_a_prediction_has_and_not_its_map(project):
    """Boxes of the ground truth, a pixel off, in a file that is written by hand; the map says something else."""
    folder, split, _, refine = project
    found, rng = [], np.random.default_rng(0)
    with records.RecordWriter(
        folder / "drawn.parquet", records.Prediction, {"classes": ["disc"], "model": "owlv2", "oracle": False}
    ) as writer:
        for record in split:
            boxes = [Box.around(region).corners + [0, 0, 1, 1] for region in regions(record)]
            moved = [np.array(box) + rng.uniform(-1, 1, 4) for box in boxes]
            found.append(detected(*((box, 0.9) for box in moved)) if moved else detected(((0, 0, 9, 9), 0.1)))
            text = detections.to_json([Prompt.of(Text("a disc"))], found[-1:])
            writer.add(records.Prediction(record.id, records.pack(np.ones((1, 48, 60), np.float32)), text))
    refined, sam = refine("drawn"), models.load("sam").create("tiny", 0)
    for record, row, boxes in zip(split, refined, found, strict=True):
        given = detections.box_prompts([(1, boxes)], BOX, (48, 60))
        assert len(given) == len(regions(record)) and len(json.loads(row.prompts)) == 1 + len(given)
        stored = [Prompt.of(Box(np.array(entry["box"]))) for entry in json.loads(row.prompts)[1:]]
        maps = predict_classes(sam, sam.encode([records.image(record)]), stored, (1, 48, 60))
        difference = np.abs(maps.probability - records.unpack(row, 1) / 256).max() if given else 0
        assert difference < 0.02, "boxes and features are rounded when they are stored"
        assert given or records.unpack(row, 1).max() == 0


def regions(record: records.Record):
    return masks.regions(records.mask(record) == 1, True)


def test_points_and_masks_from_boxes_are_refused_before_anything_is_encoded(project):
    folder, _, run, refine = project
    run("owlv2")
    for config in (CascadePrompt(), CascadePrompt(by="mask")):
        refused(lambda config=config: refine("owlv2", config), "a detector returns boxes", "set prompt.by: box")
    assert not (folder / "out.parquet").exists() and not [*(folder / "embeddings").glob("sam-*")]
