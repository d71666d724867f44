"""Predictions: what is stored, and that neither company nor the number of processes changes a byte."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import image_io, records
from promptseg.inference import prediction
from promptseg.nn import batch_sizes, weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt, SupportExample


class Echo(Segmenter):
    """Answers +4 inside the prompted box and -4 outside."""

    NAME, PROMPTS, PARTS = "echo", frozenset({"box"}), {}
    frame = ImageTransform(64, False, (0, 0, 0), (1, 1, 1))

    def encode(self, images):
        return {"pixels": self.frame.pixels(images)}

    def decode(self, features, prompts):
        y, x = np.mgrid[:64, :64] + 0.5
        rows = [[4.0 * _inside(prompt.box, x, y) for prompt in row] for row in prompts]
        return torch.tensor(np.array(rows), dtype=torch.float32)


def _inside(box, x, y):
    return np.where((x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3]), 1.0, -1.0)


def test_prompts_of_a_class_are_united_and_classes_that_nothing_asks_for_are_empty():
    asked = [Prompt(1, box=np.array([0.0, 0, 8, 8])), Prompt(1, box=np.array([24.0, 24, 32, 32]))]
    model = Echo()
    found = prediction.probabilities(model, model.encode([np.zeros((32, 32, 3), np.uint8)]), asked, 2, 32, 32)
    assert found.shape == (2, 32, 32) and found[1].max() == 0
    high = 1 / (1 + np.exp(-4))
    np.testing.assert_allclose([found[0, 3, 3], found[0, 28, 28], found[0, 16, 16]], [high, high, 1 - high], atol=1e-6)


def test_more_prompts_than_go_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    asked = [Prompt(1, box=np.array([x, y, x + 4.0, y + 4.0])) for x, y in rng.integers(0, 28, (7, 2))]
    model, picture = Echo(), np.zeros((32, 32, 3), np.uint8)
    together = prediction.probabilities(model, model.encode([picture]), asked, 1, 32, 32)
    monkeypatch.setitem(batch_sizes.PROMPTS, "cpu", 3)
    assert np.array_equal(together, prediction.probabilities(model, model.encode([picture]), asked, 1, 32, 32))


@pytest.fixture
def project(blobs, tmp_path):
    """A folder with params.yaml, a container and a tiny checkpoint; runs the stage `zero_shot` in it."""
    truth = blobs("test", 37, size=(48, 60), empty=(5,))
    model = models.load("sam").create("tiny", 0)
    weights.write(tmp_path / "checkpoint", model.configuration(), model.state_dict())
    (tmp_path / "params.yaml").write_text(
        "datasets: {em: {reader: em}}\nmodels: {sam: {}}\n"
        "zero_shot: {r: {dataset: em, model: sam, prompt: {points: 1, per: object}}}\n"
    )

    def run(out: str, root, processes: int, cache: str = "embeddings") -> bytes:
        stage = [str(root / "stages/zero_shot.py"), "r", str(truth), "checkpoint", cache, out]
        launcher = [sys.executable]
        if processes > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        env = {**os.environ, "PYTHONPATH": str(root / "stages")}
        done = subprocess.run([*launcher, *stage], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return (tmp_path / out).read_bytes()

    return run, truth, tmp_path


def test_one_and_several_processes_write_the_same_bytes(project, root):
    run, truth, folder = project
    one = run("one.parquet", root, 1, "cache1")
    assert run("two.parquet", root, 2, "cache2") == one
    assert run("three.parquet", root, 3, "cache1") == one  # on features that another group made
    (a,), (b,) = ((folder / name).glob("sam-*/image.f16") for name in ("cache1", "cache2"))
    assert a.read_bytes() == b.read_bytes()
    assert not list(folder.glob(".*share*"))
    answers, pairs = records.predictions(folder / "one.parquet"), records.pairs(truth)
    assert answers.column("id") == pairs.column("id")
    assert answers.about["oracle"] is True
    assert answers.about["prompt"] == {"points": 1, "per": "object"}
    assert json.loads(answers[5].prompts) == [] and records.unpack(answers[5], 1).max() == 0  # nothing to point at
    assert records.unpack(answers[0], 1).shape == (1, 48, 60)


def test_a_prompt_that_the_model_does_not_take_ends_before_the_work(blobs, tmp_path):
    model = models.load("sam").create("tiny", 0)
    weights.write(tmp_path / "w", model.configuration(), model.state_dict())
    run = params.Run(dataset="em", model="sam", prompt=params.Prompt(text=["fire"]))
    with pytest.raises(UserError, match="sam takes no text prompt; it takes automatic, box, mask, points"):
        prediction.predict(run, 0, blobs("test", 2), tmp_path / "w", None, tmp_path / "e", tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists() and not (tmp_path / "e").exists()


def test_a_support_picture_is_asked_with_and_a_row_without_one_is_named(tmp_path):
    rng = np.random.default_rng(0)
    image, other = (rng.integers(0, 256, (*size, 3), np.uint8) for size in ((40, 50), (30, 60)))
    mask, shown = np.zeros((40, 50), np.uint8), np.zeros((30, 60), np.uint8)
    mask[5:20, 5:20], shown[10:20, 10:40] = 1, 1
    model = models.load("clipseg").create("tiny", 0)
    weights.write(tmp_path / "w", model.configuration(), model.state_dict(), model.files())
    rest = (image_io.png(image), image_io.png(mask), 40, 50, "a", 0, 0, 40, 50, "thing")
    rows = [
        records.Record("a", "g", *rest, support_image=image_io.png(other), support_mask=image_io.png(shown)),
        records.Record("b", "g", *rest),
    ]
    for name, count in (("one", 1), ("two", 2)):
        with records.RecordWriter(tmp_path / name, records.Record, {"classes": ["thing"]}) as out:
            for row in rows[:count]:
                out.add(row)
    run = params.Run(dataset="fss", model="clipseg", prompt=params.Prompt(support=True))
    prediction.predict(run, 0, tmp_path / "one", tmp_path / "w", None, tmp_path / "e", tmp_path / "out.parquet")
    answers = records.predictions(tmp_path / "out.parquet")
    assert answers.about["oracle"] is False and json.loads(answers[0].prompts) == [{"target": 1, "support": 1.0}]
    example = Prompt(example=SupportExample(other, shown == 1, ("darken", "blur", "crop")))
    features = {name: values.half().float() for name, values in model.encode([image]).items()}  # as they are kept
    expected = prediction.probabilities(model, features, [example], 1, 40, 50)
    assert answers[0].probability == records.pack(expected)
    with pytest.raises(UserError, match="b: the dataset has no support picture"):
        prediction.predict(run, 0, tmp_path / "two", tmp_path / "w", None, tmp_path / "e", tmp_path / "out.parquet")
