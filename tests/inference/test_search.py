"""Searches: the best prompt is found, each image is encoded once, and the drop on other images is what chance makes."""

import csv
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from example_params import parse
from promptseg import models
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.core.search import Search
from promptseg.core.searched import Searched, take_winner
from promptseg.data import image_io, records
from promptseg.evaluation import evaluate, score_table
from promptseg.inference import prediction, search
from promptseg.inference.prediction import Inputs, Job
from promptseg.inference.validation import ValidationSplit
from promptseg.nn import weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import PromptConfig
from promptseg.report import searches

PHRASES = ["blue circle", "red circle", "grand piano"]
TINY = "stages/promptseg/tiny/clipseg"


def write(path, images, masks, tiles=1):
    """A split of these images, each cut into so many tiles from left to right."""
    with records.RecordWriter(path, records.Record, {"classes": ["c"], "seed": 0, "score": "image"}) as out:
        for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
            height, width = mask.shape
            for left in range(0, width, width // tiles):
                cut = np.s_[:, left : left + width // tiles]
                files = image_io.encode_png(image[cut]), image_io.encode_png(mask[cut])
                place = f"i{number}", 0, left, height, width
                name = f"i{number}/{left}", f"g{number}"
                foreground = int(np.count_nonzero(mask[cut]))
                out.add(records.Record(*name, *files, height, width // tiles, *place, foreground=foreground))
    return path


@pytest.fixture
def stored(tmp_path):
    """Writes a tiny checkpoint."""

    def made(name):
        model = models.load(name).create("tiny", 0)
        weights.write(tmp_path / name, model.configuration(), model.state_dict(), model.files())
        return tmp_path / name

    return made


@pytest.fixture
def circles(tmp_path):
    """Writes splits of a red circle, which is the mask, and a blue one."""

    def made(name, count, tiles=1, seed=0):
        rng, (y, x) = np.random.default_rng(seed), np.mgrid[:96, :96]
        images, masks = [], []
        for _ in range(count):
            places = rng.permutation([(25, 25), (25, 70), (70, 25), (70, 70)])[:2]
            red, blue = ((x - left) ** 2 + (y - top) ** 2 < 15**2 for left, top in places)
            image = np.clip(150 + rng.normal(0, 10, (96, 96, 3)), 0, 255).astype(np.uint8)
            image[red], image[blue] = (200, 30, 30), (30, 60, 200)
            images.append(image)
            masks.append(red.astype(np.uint8))
        return write(tmp_path / f"{name}.parquet", images, masks, tiles)

    return made


def test_the_planted_phrase_is_found_and_its_run_says_so(circles, root, tmp_path):
    val, test, cache = circles("val", 3), circles("test", 2, seed=1), tmp_path / "cache"
    settings = Search(dataset="em", model="clipseg", phrases=PHRASES, templates=["{}", "a photo of a {}"])
    outputs = search.Outputs(tmp_path / "words.json", tmp_path / "words.csv")
    search.search(settings, Inputs(val, root / TINY, cache), outputs)
    found = json.loads(outputs.winner.read_text())
    assert found["prompt"]["text"][0].endswith("red circle") and found["score"] > 0.8
    assert (found["candidates"], found["encoder_passes"], found["decoder_passes"]) == (6, 3, 18)
    rows = list(csv.DictReader(outputs.ranking.open()))
    assert [int(row["rank"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [float(row["iou"]) for row in rows] == sorted((each["iou"] for each in found["ranking"]), reverse=True)

    about = {"dataset": "em", "model": "clipseg"}
    study = parse({
        "datasets": {"em": {"raw": "data/raw/em", "reader": "em"}}, "models": {"clipseg": {}},
        "search": {"words": {**about, "phrases": PHRASES}},
        "searched": {"best": {**about, "prompt": {"search": "words"}}},
    })  # fmt: skip
    run, about = take_winner(study.searched["best"], outputs.winner)
    assert about == found and run.prompt == PromptConfig(**found["prompt"])
    prediction.predict(run, Inputs(test, root / TINY, cache, val=val), tmp_path / "best.parquet", about)
    scores = tmp_path / "scores"
    assert searches.with_winners(study, scores) == study  # as it has none yet
    paths = evaluate.Outputs(tmp_path / "best.json", scores / "best.parquet", tmp_path / "plots")
    scores.mkdir()
    evaluate.evaluate(test, tmp_path / "best.parquet", paths)
    assert score_table.read_summary(scores / "best.parquet")["search"] == found
    assert searches.with_winners(study, scores).run("best").prompt == run.prompt
    told = searches.sentence("best", found, found["score"] - 0.05)
    assert "best of 6 on the validation images" in told and "(-0.05)" in told and "3 forward passes" in told


@pytest.mark.parametrize("tiles", [1, 2])
def test_a_candidate_has_the_score_of_its_run_and_is_decoded_beside_others(circles, root, tmp_path, tiles):
    val = circles("val", 3, tiles)
    settings = Search(
        dataset="em", model="clipseg", phrases=PHRASES, candidates=[PromptConfig(text="class")], pairs=True
    )
    inputs = Inputs(val, root / TINY, tmp_path / "cache")
    search.search(settings, inputs, search.Outputs(tmp_path / "a.json", tmp_path / "a.csv"))
    ranking = {each["prompt"]: each["iou"] for each in json.loads((tmp_path / "a.json").read_text())["ranking"]}
    assert '"blue circle and grand piano"' in ranking and len(ranking) == 1 + 3 + 3
    job = prediction.load("clipseg", "em", inputs, False)(val)
    for phrase in PHRASES:
        validation = ValidationSplit(records.open_split(val), job.processes)
        prompt = PromptConfig(text=[phrase])
        alone = validation.score(job.predict(index, prompt) for index in validation.indexes).headline()
        assert ranking[prompt.describe()] == pytest.approx(alone, abs=1e-4)


def test_points_and_boxes_are_searched_as_well_and_no_image_without_foreground_is_encoded(blobs, tmp_path, stored):
    settings = Search(
        dataset="em", model="sam",
        candidates=[PromptConfig(points=1), PromptConfig(points=3), PromptConfig(box=True, per="instance")],
    )  # fmt: skip
    outputs = search.Outputs(tmp_path / "a.json", tmp_path / "a.csv")
    search.search(settings, Inputs(blobs("val", 4, empty=(1,)), stored("sam"), tmp_path / "cache"), outputs)
    found = json.loads(outputs.winner.read_text())
    assert (found["candidates"], found["encoder_passes"]) == (3, 3)
    # Images 0 and 2 have one disc, image 3 has two.
    assert found["decoder_passes"] == 3 * 2 + 4


def test_one_and_several_processes_write_the_same_bytes_and_a_run_takes_the_winner(circles, root, tmp_path):
    about = {"dataset": "em", "model": "clipseg"}
    params = {
        "search": {"words": {**about, "phrases": PHRASES}},
        "searched": {"best": {**about, "prompt": {"search": "words"}}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    circles("val", 3), circles("test", 1, seed=1)

    def stage(*command, processes=1):
        many = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        script, *rest = command
        words = [sys.executable, *(many if processes > 1 else []), str(root / "stages" / script), *rest]
        env = {**os.environ, "PYTHONPATH": str(root / "stages")}
        done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]

    for processes in (1, 2):
        outputs = f"{processes}.json", f"{processes}.csv"
        stage("search.py", "words", ".", str(root / TINY), f"cache{processes}", *outputs, processes=processes)
    for suffix in ("json", "csv"):
        assert (tmp_path / f"1.{suffix}").read_bytes() == (tmp_path / f"2.{suffix}").read_bytes()
    stage("zero_shot.py", "best", ".", str(root / TINY), "cache1", "best.parquet", "--winner", "1.json")
    metadata = records.open_predictions(tmp_path / "best.parquet").metadata
    assert metadata["prompt"] == {"text": ["red circle"]} and metadata["search"]["candidates"] == len(PHRASES)


class Chance(Segmenter):
    """Masks of the upper rows, so many for a phrase and an image as chance has it."""

    NAME, CACHED, PROMPTS = "chance", False, frozenset({"text"})

    def __init__(self):
        super().__init__()
        self.transform = ImageTransform(16, False, (0, 0, 0), (1, 1, 1))

    def decode(self, features, prompts):
        out = torch.full((1, len(prompts[0]), 16, 16), -4.0)
        for logits, prompt in zip(out[0], prompts[0], strict=True):
            key = f"{features['image'].item()}/{prompt.get('text').phrase}"
            logits[: 1 + hashlib.sha256(key.encode()).digest()[0] % 16] = 4.0
        return out


def test_the_drop_is_near_0_for_one_candidate_and_grows_with_their_number(tmp_path, monkeypatch):
    """All phrases are equally good, so that what the best gains on the validation images is chance alone."""
    mask = np.repeat(np.arange(16) < 8, 16).reshape(16, 16).astype(np.uint8)
    split = write(tmp_path / "split.parquet", [np.zeros((16, 16, 3), np.uint8)] * 8, [mask] * 8)
    reader = records.open_split(split)

    def scored(phrases, first_image):
        def prepare(path):
            return Job(Chance(), lambda indexes: {"image": torch.tensor(indexes) + first_image}, reader, Processes())

        monkeypatch.setattr(search, "load", lambda *_: prepare)
        settings = Search(dataset="em", model="clipseg", phrases=phrases)
        outputs = search.Outputs(tmp_path / "a.json", tmp_path / "a.csv")
        search.search(settings, Inputs(split, tmp_path, tmp_path), outputs)
        return json.loads(outputs.winner.read_text())

    def drop(candidates):
        drops = []
        for repeat in range(15):
            best = scored([f"{repeat}-{number}" for number in range(candidates)], 0)
            drops.append(best["score"] - scored(best["prompt"]["text"], 100)["score"])
        return np.mean(drops)

    one, four, many = drop(1), drop(4), drop(32)
    assert abs(one) < 0.04 and one + 0.04 < four < many - 0.04


def test_a_search_without_ground_truth_and_a_damaged_winner_are_refused_in_one_line(blobs, tmp_path, stored):
    settings = Search(dataset="em", model="sam", candidates=[PromptConfig(points=1)])
    outputs = search.Outputs(tmp_path / "a.json", tmp_path / "a.csv")
    with pytest.raises(UserError, match="no image has a mask that would tell which prompt is best"):
        search.search(settings, Inputs(blobs("val", 2, empty=(0, 1)), stored("sam"), tmp_path / "cache"), outputs)
    run = Searched(dataset="em", model="sam", prompt={"search": "a"})
    with pytest.raises(UserError, match="not found; `dvc repro search@a` makes it"):
        take_winner(run, outputs.winner)
    for text in ("{", "{}", '{"prompt": {"pints": 1}}'):
        outputs.winner.write_text(text)
        with pytest.raises(UserError, match="damaged; delete it and run `dvc repro search@a`"):
            take_winner(run, outputs.winner)
    with pytest.raises(UserError, match="sam takes no text prompt"):
        search.search(Search(dataset="em", model="sam", phrases=["x"]), Inputs(tmp_path, tmp_path, tmp_path), outputs)
