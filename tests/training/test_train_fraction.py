"""Training on a share of the groups, and what the weights say about it."""

import pytest
import torch
from promptseg.core.devices import Processes
from promptseg.core.runs import FineTune
from promptseg.data import records
from promptseg.inference import prediction
from promptseg.models.sam import Sam
from promptseg.nn import weights
from promptseg.training import forecast
from promptseg.training.setup import Job, set_up
from tiny_training import make_inputs, make_job, train_tiny


def used(setup) -> list[str]:
    return [setup.train_split.id(index) for index in range(len(setup.train_split))]


def test_a_quarter_of_the_groups_is_inside_the_half_and_validation_is_on_all(blobs, tmp_path):
    inputs = make_inputs(blobs, tmp_path, "unet", 16)  # two images a group
    setups = [set_up(make_job("unet", train_fraction=fraction), inputs, Processes()) for fraction in (0.25, 0.5, 1.0)]
    quarter, half, whole = map(used, setups)
    assert (len(quarter), len(half), len(whole)) == (4, 8, 16)
    assert set(quarter) < set(half) < set(whole) == set(records.open_split(inputs.train).column("id"))
    assert all(len(setup.val_split) == 3 for setup in setups)


def test_features_targets_and_prompts_are_of_the_same_images_as_in_the_whole_split(blobs, tmp_path):
    inputs = make_inputs(blobs, tmp_path, "sam", 8)
    part, whole = (set_up(make_job("sam", train_fraction=fraction), inputs, Processes()) for fraction in (0.5, 1.0))
    for setup in (part, whole):
        setup.train_split.cache_features(setup.checkpoint, inputs.cache, Processes())
    for index, id in enumerate(used(part)):
        own, other = (setup.train_split.take(i, 1) for setup, i in ((part, index), (whole, used(whole).index(id))))
        assert own.seed == other.seed and (own.regions[0].full() == other.regions[0].full()).all()
        assert (own.prompts[0].get("points").coordinates == other.prompts[0].get("points").coordinates).all()
        mine, theirs = part.train_split.features([own]), whole.train_split.features([other])
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_only_the_images_that_are_used_are_encoded_and_counted(blobs, tmp_path, monkeypatch):
    inputs = make_inputs(blobs, tmp_path, "sam", 8)
    setup = set_up(make_job("sam", train_fraction=0.5), inputs, Processes())
    assert forecast.measure(setup, inputs.cache, Processes()).images == (4, 3, 7)
    seen, encode = [], Sam.encode

    def recording(self, images):
        seen.extend(image.tobytes() for image in images)
        return encode(self, images)

    monkeypatch.setattr(Sam, "encode", recording)
    setup.train_split.cache_features(setup.checkpoint, inputs.cache, Processes())
    split = records.open_split(inputs.train)
    needed = {records.image(record).tobytes() for record in split if record.id in used(setup)}
    assert needed <= set(seen) and setup.train_split.count_missing(setup.checkpoint, inputs.cache) == 0


def test_the_number_of_images_is_kept_with_weights_and_predictions_and_tiles_count_once(blobs, tmp_path):
    inputs = make_inputs(blobs, tmp_path, "unet", 8)
    metadata, rows = (lambda split: (split.metadata, list(split)))(records.open_split(inputs.train))
    with records.RecordWriter(inputs.train, records.Record, metadata) as out:
        for row in rows:  # two tiles an image
            out.add(records.Record(**{**vars(row), "source": row.group}))
    job = make_job("unet", train_fraction=0.5, epochs=1)
    train_tiny(job, inputs, tmp_path)
    config = weights.read(tmp_path / "w")[0]
    assert config["images"] == 2 and config["train"]["train_fraction"] == 0.5
    paths = prediction.Inputs(inputs.val, inputs.checkpoint, inputs.cache, tmp_path / "w")
    prediction.predict(job.run, paths, tmp_path / "p.parquet")
    assert records.open_predictions(tmp_path / "p.parquet").metadata["train_images"] == 2


@pytest.mark.parametrize("fraction", [0.5, 1.0])
def test_support_images_of_the_training_split_are_trained_and_tested_with(blobs, tmp_path, fraction):
    inputs = make_inputs(blobs, tmp_path, "clipseg", 8)
    prompt = {"support": {"from": "train", "shots": 2}}
    train = {"prompt": prompt, "epochs": 1, "train_fraction": fraction}
    run = FineTune.model_validate({"dataset": "em", "model": "clipseg", "prompt": prompt, "train": train})
    setup = set_up(Job(run, None, 0), inputs, Processes())
    own = set(used(setup))
    for item in (setup.train_split.take(index, 1) for index in range(len(setup.train_split))):
        (part,) = (prompt.get("support") for prompt in item.prompts)
        assert len(part.images) == 2 and not any((image.image == item.image).all() for image in part.images)
    by_class = setup.training.validation.support.by_class
    assert {id for id, _ in by_class[1]} <= own and len(own) == 8 * fraction
