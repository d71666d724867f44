"""Files of every kind, damaged in every way: one line that names the file, or what was in it; never other data."""

import shutil
from pathlib import Path

import pytest
import writers
from damage import DAMAGES
from file_kinds import KINDS
from numpy.testing import assert_equal
from promptseg.core import stage
from promptseg.core.devices import Processes
from promptseg.nn import weights
from promptseg.training import checkpoint_manager
from promptseg.training.checkpoint_manager import CheckpointManager

# Damages after which a file is read as before, as other programs read it: what follows its end is not looked at.
READ = {
    **dict.fromkeys(
        ("JPEG image", "WebP image", "TIFF image", "TIFF mask", "zip", "tar.gz", "pth", "split"), {"twice"}
    ),
    **dict.fromkeys(("PNG image", "PNG mask"), {"twice", "one byte short"}),
    "scores": {"twice"},
}
OTHER = {"WebP image": {"zeros in the middle"}}  # neither WebP nor JPEG has checksums


def refusal(call, path: Path, capsys) -> str:
    """The line with which a stage ends, code 1."""
    with pytest.raises(SystemExit) as ended:
        stage.guarded(lambda: call(path))
    line = capsys.readouterr().err
    assert ended.value.code == 1 and line.startswith("error: ") and line.count("\n") == 1
    return line


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_one_line_that_names_it(kind, tmp_path, capsys):
    name, write, read = KINDS[kind]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    write(path)
    whole, data, same = path.read_bytes(), read(path), set()
    for damage, change in DAMAGES.items():
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        path.write_bytes(change(whole))
        try:
            found = read(path)
        except Exception:
            line = refusal(read, path, capsys)
            assert str(path) in line, f"{damage}: {line}"
        else:
            if damage not in OTHER.get(kind, ()):
                assert_equal(found, data, f"{damage}: other data")
                same.add(damage)
    assert same == READ.get(kind, set())


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "twice"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "SHA256SUMS"])
def test_a_damaged_training_checkpoint_is_not_resumed_from(damage, name, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)
    writers.WRITERS["training checkpoint"].write(tmp_path / "resume/epoch-0002")
    manager = CheckpointManager(tmp_path / "resume", {"seed": 0}, weights.write, Processes())
    assert manager.exists() and len(manager.load().rows) == 1
    path = tmp_path / "resume/epoch-0002" / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert not manager.exists() and manager.load().rows == []
