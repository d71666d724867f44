"""Single bits that change in files of promptseg's and in others: refused, or read as before; never other data."""

import random
import shutil
from pathlib import Path

import pytest
import writers
from damage import flipped
from file_kinds import KINDS
from numpy.testing import assert_equal
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.data import image_io, records
from promptseg.nn import weights
from promptseg.training import checkpoint_manager
from scale import scaled

FLIPPED = ("zip", "tar.gz", "split", "pth", "weights")


def outcomes(path: Path, read, count: int, choose: random.Random) -> dict[str, int]:
    """How many of `count` flips had a file refused, and how many had it read as before. Fails on other data."""
    whole, data, found = path.read_bytes(), read(path), {"refused": 0, "as before": 0}
    for _ in range(count):
        at, bit = choose.randrange(len(whole)), choose.randrange(8)
        shutil.rmtree(path.with_name("out"), ignore_errors=True)
        path.write_bytes(flipped(whole, at, bit))
        try:
            changed = read(path)
        except UserError as error:
            assert str(path.parent) in str(error) and "\n" not in str(error)
            found["refused"] += 1
        else:
            assert_equal(changed, data, f"{path.name}: bit {bit} of byte {at}")
            found["as before"] += 1
    path.write_bytes(whole)
    return found


@pytest.mark.parametrize("kind", FLIPPED)
def test_a_flipped_bit_never_gives_other_data(kind, tmp_path):
    name, write, read = KINDS[kind]
    path, count = tmp_path / name, scaled(100 if kind in ("zip", "tar.gz") else 200)
    path.parent.mkdir(exist_ok=True)
    write(path)
    found = outcomes(path, read, count, random.Random(kind))
    print(f"flips in {kind}: {count} tried, {found}")
    assert kind != "weights" or found["as before"] == 0


def test_a_flipped_bit_in_a_training_checkpoint_is_not_resumed_from(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)
    writers.WRITERS["training checkpoint"].write(tmp_path / "resume/epoch-0002")
    manager = checkpoint_manager.CheckpointManager(tmp_path / "resume", {"seed": 0}, weights.write, Processes())
    choose, paths = random.Random(0), sorted((tmp_path / "resume/epoch-0002").iterdir())
    for _ in range(scaled(200)):
        path = choose.choice(paths)
        whole = path.read_bytes()
        path.write_bytes(flipped(whole, choose.randrange(len(whole)), choose.randrange(8)))
        assert not manager.exists()
        path.write_bytes(whole)
    assert manager.exists()
    print(f"flips in a training checkpoint: {scaled(200)} tried, all not used")


def cached(path: Path):
    """What the next stage reads of an output."""
    if path.suffix == ".parquet":
        opened = records.open_predictions if "predictions" in path.parts else records.open_split
        return list(opened(path))
    if path.suffix == ".png":
        return image_io.read_image(path)
    config, tensors = weights.read(path.parent)
    return config, {name: value.tolist() for name, value in tensors.items()}


@pytest.mark.xdist_group("faults")
def test_a_flipped_bit_in_dvc_s_cache_is_noticed_by_the_next_stage(whole_study, tmp_path):
    """DVC checks nothing out of its cache, so a changed file arrives as it is."""
    folder = shutil.copytree(whole_study[0] / "data", tmp_path / "data")
    paths = [path for path in sorted(folder.rglob("*"))
             if path.is_file() and path.relative_to(folder).parts[0] in
             ("raw", "prepared", "checkpoints", "weights", "predictions")]  # fmt: skip
    choose, total = random.Random(0), {"refused": 0, "as before": 0}
    for _ in range(scaled(200)):
        for key, count in outcomes(choose.choice(paths), cached, 1, choose).items():
            total[key] += count
    print(f"flips in DVC's cache: {scaled(200)} tried, {total}")
