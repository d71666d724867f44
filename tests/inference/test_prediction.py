"""Predictions: what is stored, and that neither the batch nor the number of processes changes a byte."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from promptseg import models
from promptseg.core.distributed import Ranks
from promptseg.core.runs import Run
from promptseg.data import image_io, records
from promptseg.evaluation.histogram import THRESHOLDS
from promptseg.inference import prediction, prediction_file
from promptseg.inference.class_maps import predict_classes
from promptseg.nn import weights
from promptseg.prompts import Prompt, PromptConfig
from promptseg.prompts.support import Support, SupportImage
from refusing import refused


def test_shares_of_all_processes_are_merged_in_the_order_of_the_split(tmp_path):
    count, out = 5 * prediction_file.CHUNK + 3, tmp_path / "out.parquet"
    (tmp_path / ".out.parquet.share7").touch()  # of a larger group that was killed
    for rank in (1, 2, 0):  # the main process comes to the end last
        ranks = Ranks()
        ranks.rank, ranks.world, ranks.main, ranks.wait, ranks.close = rank, 3, rank == 0, print, print
        job = prediction.Job(None, None, range(count), ranks)
        prediction_file.write_predictions(
            job, out, {"model": "sam"}, lambda i: records.Prediction(str(i), bytes([i]), "[]")
        )
    merged = records.open_predictions(out)
    assert [(row.id, row.probability) for row in merged] == [(str(i), bytes([i])) for i in range(count)]
    assert merged.metadata == {"model": "sam"} and [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


@pytest.fixture
def project(blobs, tmp_path):
    """A folder with params.yaml, a split and a tiny checkpoint; runs the stage `zero_shot` in it."""
    split, _ = blobs("test", 18, size=(48, 60), empty=(5,)), blobs("val", 3, seed=1)
    model = models.load("sam").create("tiny", 0)
    weights.write(tmp_path / "checkpoint", model.configuration(), model.state_dict())
    (tmp_path / "params.yaml").write_text(
        "datasets: {em: {raw: data/raw/em, reader: em}}\nmodels: {sam: {}}\n"
        "zero_shot: {r: {dataset: em, model: sam, prompt: {points: 1, per: instance}}}\n"
    )

    def run(out: str, root, processes: int, cache: str = "embeddings") -> bytes:
        stage = [str(root / "stages/zero_shot.py"), "r", str(tmp_path), "checkpoint", cache, out]
        launcher = [sys.executable]
        if processes > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        env = {**os.environ, "PYTHONPATH": str(root / "stages")}
        done = subprocess.run([*launcher, *stage], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return (tmp_path / out).read_bytes()

    return run, split, tmp_path


def test_one_and_several_processes_write_the_same_bytes(project, root):
    run, split, folder = project
    assert run("one.parquet", root, 1, "cache1") == run("two.parquet", root, 2, "cache2")
    one, two = (sorted((folder / name).glob("sam-*/image.f16")) for name in ("cache1", "cache2"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two] and len(one) == 2
    assert not list(folder.glob(".*share*"))
    predictions = records.open_predictions(folder / "one.parquet")
    assert predictions.column("id") == records.open_split(split).column("id")
    assert predictions.metadata["oracle"] is True
    assert predictions.metadata["threshold"] in THRESHOLDS
    assert predictions.metadata["prompt"] == {"points": 1, "per": "instance"}
    assert json.loads(predictions[5].prompts) == [] and records.unpack(predictions[5], 1).max() == 0  # an empty mask
    assert records.unpack(predictions[0], 1).shape == (1, 48, 60)


def test_a_prompt_that_the_model_does_not_take_is_refused_before_anything_is_written(blobs, tmp_path):
    model = models.load("sam").create("tiny", 0)
    weights.write(tmp_path / "w", model.configuration(), model.state_dict())
    run = Run(dataset="em", model="sam", prompt=PromptConfig(text=["fire"]))
    inputs = prediction.Inputs(blobs("test", 2), tmp_path / "w", tmp_path / "e")
    message = "sam takes no text prompt; it takes automatic, box, box + points, clicks, mask, points"
    refused(lambda: prediction.predict(run, inputs, tmp_path / "out.parquet"), message)
    assert not (tmp_path / "out.parquet").exists() and not (tmp_path / "e").exists()


@pytest.mark.parametrize(("prompt", "encoded"), [
    ({"box": True}, 2), ({"points": 1, "per": "instance"}, 2), ({"automatic": {"points": 1}}, 2),
    ({"text": ["disc"]}, 3),
])  # fmt: skip
def test_a_record_without_foreground_is_encoded_only_for_prompts_that_are_not_the_ground_truths(
    blobs, tmp_path, monkeypatch, prompt, encoded
):
    name = "clipseg" if "text" in prompt else "sam"
    model, split = models.load(name).create("tiny", 0), blobs("test", 3, size=(48, 60), empty=(1,))
    weights.write(tmp_path / "w", model.configuration(), model.state_dict(), model.files())
    encode, seen = type(model).encode, set()
    monkeypatch.setattr(
        type(model), "encode", lambda self, images: seen.update(map(np.ndarray.tobytes, images)) or encode(self, images)
    )
    run = Run(dataset="em", model=name, prompt=PromptConfig(**prompt))
    prediction.predict(run, prediction.Inputs(split, tmp_path / "w", tmp_path / "e"), tmp_path / "out.parquet")
    image = records.image(records.open_split(split)[1])
    assert len(seen) == encoded and (image.tobytes() in seen) == (encoded == 3)
    row = records.open_predictions(tmp_path / "out.parquet")[1]
    if "text" in prompt:
        assert records.unpack(row, 1).max() > 0
    elif "automatic" in prompt:
        assert (row.probability, row.generated_masks) == (b"", "[]")
    else:
        assert json.loads(row.prompts) == [] and not records.unpack(row, 1).any()


def test_background_as_a_class_is_predicted_by_a_text_model(tmp_path):
    rng = np.random.default_rng(0)
    image, mask = rng.integers(0, 256, (40, 50, 3), np.uint8), np.ones((40, 50), np.uint8)
    model = models.load("clipseg").create("tiny", 0)
    weights.write(tmp_path / "w", model.configuration(), model.state_dict(), model.files())
    data = image_io.encode_png(image), image_io.encode_png(mask)
    row = records.Record("a", "g", *data, 40, 50, "a", 0, 0, 40, 50, foreground=2000)
    metadata = {"classes": ["background", "tv-set"], "words": ["background", "television"], "seed": 0}
    with records.RecordWriter(tmp_path / "split", records.Record, metadata) as out:
        out.add(row)
    run = Run(dataset="voc", model="clipseg", prompt=PromptConfig(text="class"))
    prediction.predict(run, prediction.Inputs(tmp_path / "split", tmp_path / "w", tmp_path / "e"), tmp_path / "out")
    (predicted,) = records.open_predictions(tmp_path / "out")
    assert json.loads(predicted.prompts) == [{"target": 2, "text": "television"}]
    background, television = records.unpack(predicted, 2).astype(int)
    assert (np.abs(background + television - 255) <= 1).all() and background.max() > 0


def test_support_images_are_prompts_and_a_record_without_one_is_named(tmp_path):
    rng = np.random.default_rng(0)
    image, other = (rng.integers(0, 256, (*size, 3), np.uint8) for size in ((40, 50), (30, 60)))
    mask, support_mask = np.zeros((40, 50), np.uint8), np.zeros((30, 60), np.uint8)
    mask[5:20, 5:20], support_mask[10:20, 10:40] = 1, 1
    model = models.load("clipseg").create("tiny", 0)
    weights.write(tmp_path / "w", model.configuration(), model.state_dict(), model.files())
    rest = (image_io.encode_png(image), image_io.encode_png(mask), 40, 50, "a", 0, 0, 40, 50, "thing")
    support = {"support_image": image_io.encode_png(other), "support_mask": image_io.encode_png(support_mask)}
    rows = [records.Record(id, "g", *rest, **more, foreground=225) for id, more in (("a", support), ("b", {}))]
    for name, count in (("one", 1), ("two", 2)):
        with records.RecordWriter(tmp_path / name, records.Record, {"classes": ["thing"], "seed": 0}) as out:
            for row in rows[:count]:
                out.add(row)
    run = Run(dataset="fss", model="clipseg", prompt=PromptConfig(support=True))
    one, two = (prediction.Inputs(tmp_path / name, tmp_path / "w", tmp_path / "e") for name in ("one", "two"))
    prediction.predict(run, one, tmp_path / "out.parquet")
    predictions = records.open_predictions(tmp_path / "out.parquet")
    assert predictions.metadata["oracle"] is False
    assert json.loads(predictions[0].prompts) == [{"target": 1, "support": 1.0}]
    prompt = Prompt.of(Support((SupportImage(other, support_mask == 1),), ("darken", "blur", "crop"), 1.0))
    features = {name: values.half().float() for name, values in model.encode([image]).items()}  # as cached
    expected = predict_classes(model, features, [prompt], (1, 40, 50))
    assert predictions[0].probability == expected.packed()
    refused(lambda: prediction.predict(run, two, tmp_path / "out.parquet"), "b: the dataset has no support image")
