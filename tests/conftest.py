"""Small things that many tests need. No test needs the network, a GPU, or files that are not in the project."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings
from promptseg import datasets
from promptseg.core import files, portable
from promptseg.data import image_io, records

# Time limits of single examples say more about a busy machine than about the code.
settings.register_profile("promptseg", deadline=None, derandomize=True)
settings.load_profile("promptseg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; see `one_thread`

ROOT = Path(__file__).parent.parent
# Tests that train, start torchrun, run a pipeline, or go through all models or datasets: not in `make test-fast`.
SLOW = (
    "cli/test_doctor.py", "cli/test_repro.py", "cli/test_segment.py", "contracts/test_gpu_check.py",
    "core/test_distributed.py", "core/test_fingerprint.py", "core/test_portable.py", "datasets/test_cityscapes",
    "datasets/test_datasets.py", "datasets/test_em.py", "datasets/test_fires.py", "datasets/test_lucchi_pp.py",
    "datasets/test_stand_ins.py", "download/test_checkpoint", "end_to_end/", "export/", "faults/", "inference/",
    "models/", "nn/test_attention.py", "nn/test_lora.py", "nn/test_precision.py", "nn/test_pretrained.py",
    "nn/test_sam_checkpoint.py", "nn/test_unets.py", "preprocessing/test_prepare.py", "pretrain/", "test_api.py",
    "training/test_checkpoint_manager.py", "training/test_event_log.py", "training/test_fit_check.py",
    "training/test_forecast.py", "training/test_many_machines.py", "training/test_setup.py", "training/test_trainer.py",
    "training/test_training_loop.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    for item in items:
        path = item.path.relative_to(ROOT / "tests").as_posix()
        if path.startswith(SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Torch computes with one thread: those of tests that run at once would wait for each other's cores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portable, "held", lambda: True)  # so that `configure_torch` leaves it at one
        yield


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory):
    """What programs leave among the temporary files, as torchrun does, ends with the folders of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def server():
    """A process that starts stages at once; its tests are of the group `faults`, so that there is one."""
    from stage_server import Server

    with Server() as running:
        yield running


@pytest.fixture(scope="session")
def whole_study(server, tmp_path_factory):
    """The small study after each of its stages has run, and what they made; tests restore what they change."""
    import kills
    import small_study

    folder = tmp_path_factory.mktemp("whole") / "study"
    return folder, kills.reference(server, folder, small_study.stages())


@pytest.fixture(scope="session")
def written_sample(tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a dataset's sample with seed 0, written once for all tests and workers; tests do not change it."""
    home = tmp_path_factory.getbasetemp()
    home = (home.parent if "PYTEST_XDIST_WORKER" in os.environ else home) / "samples"
    home.mkdir(exist_ok=True)

    def written(name: str) -> Path:
        folder = home / name
        with FileLock(home / f"{name}.lock"):
            if not folder.is_dir():
                with files.replacing(folder) as aside:
                    aside.mkdir()
                    datasets.load_sample(name).write(aside, 0)
        return folder

    return written


@pytest.fixture
def blobs(tmp_path):
    """Makes a container of images with one or two bright discs on a noisy ground, the discs being the mask."""

    def make(
        name: str, count: int, size: tuple[int, int] = (64, 64), seed: int = 0, empty: tuple[int, ...] = ()
    ) -> Path:
        rng = np.random.default_rng(seed)
        path = tmp_path / f"{name}.parquet"
        y, x = np.mgrid[: size[0], : size[1]]
        metadata = {"classes": ["disc"], "dataset": "discs", "seed": 0, "score": "image"}
        with records.RecordWriter(path, records.Record, metadata) as out:
            for i in range(count):
                mask = np.zeros(size, np.uint8)
                for _ in range(0 if i in empty else 1 + i % 2):
                    cx, cy, r = rng.uniform(12, size[1] - 12), rng.uniform(12, size[0] - 12), rng.uniform(6, 11)
                    mask[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = 1
                image = np.clip(90 + 90 * mask[..., None] + rng.normal(0, 12, (*size, 3)), 0, 255).astype(np.uint8)
                name_of = f"{name}/{i:03d}"
                files = image_io.encode_png(image), image_io.encode_png(mask)
                place, foreground = (name_of, 0, 0, *size), int(np.count_nonzero(mask))
                out.add(records.Record(name_of, f"g{i // 2}", *files, *size, *place, foreground=foreground))
        return path

    return make
