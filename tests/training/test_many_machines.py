"""Fine-tuning on several machines: here each is an agent of torchrun of its own, and they meet on loopback."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import handmade_splits
import pandas as pd
import pytest
from promptseg.data import records
from tiny_training import make_inputs, make_job

EPOCHS, TIMEOUT = 4, 300
TRAIN = {"trainable": ["mask_decoder"], "epochs": EPOCHS, "batch_size": 2, "lr": 1e-3, "optimizer": "adamw"}
# The stage, with a checkpoint after each epoch, however short. Where STOP_AT names a file that is not there yet, the
# machine (the agent, and with it this process) is killed while it validates in the third epoch.
STAGE = """
import os, pathlib, runpy, signal, time
from promptseg.training import checkpoint_manager, epochs

def validate(*args, left=[3]):
    left[0] -= 1
    stopped = pathlib.Path(os.environ.get("STOP_AT") or "/")
    if left == [0] and not stopped.exists():
        stopped.write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return real(*args)

checkpoint_manager.SAVE_INTERVAL, real, epochs.validate = 0.0, epochs.validate, validate
runpy.run_path({script!r}, run_name="__main__")
"""
# Stand-ins of Slurm's commands: the first machine of a job, and one task for each machine, side by side.
SLURM = {
    "scontrol": '#!/bin/sh\ntest "$*" = "show hostnames two-machines" && printf "127.0.0.1\\n127.0.0.2\\n"\n',
    "srun": '#!/bin/bash\nfor task in $(seq "$SLURM_NNODES"); do SLURM_PROCID=$((task - 1)) "$@" & tasks+=($!); done\n'
    'for task in "${tasks[@]}"; do wait "$task" || failed=1; done\nexit "${failed:-0}"\n',
}

pytestmark = pytest.mark.xdist_group("machines")  # the tests share one run


class Cluster:
    """A folder that all machines see, with a study of one run in it."""

    def __init__(self, folder: Path, root: Path):
        self.folder, self._root = folder, root
        self.started: list[subprocess.Popen] = []
        self._inputs = make_inputs(self._split, folder, "sam", 5, 3)
        entry = json.dumps(make_job("sam", **TRAIN).run.model_dump(exclude_defaults=True))
        # The tiny scale, at which the bytes do not depend on the number of threads.
        (folder / "params.yaml").write_text(f"scale: {{checkpoints: tiny}}\nfinetune: {{r: {entry}}}\n")
        (folder / "stage.py").write_text(STAGE.format(script=str(root / "stages/finetune.py")))

    def _split(self, name: str, count: int, seed: int = 0) -> Path:
        path, metadata = self.folder / f"{name}.parquet", {"classes": ["disc"], "score": "image", "seed": 0}
        with records.RecordWriter(path, records.Record, metadata) as out:
            for number in range(count):
                image, mask, _ = handmade_splits.scene(100 * seed + number)
                out.add(handmade_splits.whole(f"{name}/{number}", "g", image, mask))
        return path

    def arguments(self, out: str) -> list[str]:
        """The stage and what it is given."""
        split = [str(path) for path in (self._inputs.train, self._inputs.val, self._inputs.checkpoint)]
        return ["stage.py", "r", *split, "embeddings", f"{out}.resume", out, f"{out}.csv"]

    def start(self, command: list[str], log: str, **env: str) -> subprocess.Popen:
        """Start a command whose output goes to a file."""
        path = os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
        # Without it a machine that comes back waits for an address that torchrun gives only once (torch 2.15).
        shared = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        env = {**os.environ, "PATH": path, "PYTHONPATH": str(self._root / "stages"), **shared, **env}
        with open(self.folder / log, "w") as file:
            self.started.append(subprocess.Popen(command, cwd=self.folder, env=env, stdout=file, stderr=file))
        return self.started[-1]

    def start_agent(self, out: str, port: int, log: str, **env: str) -> subprocess.Popen:
        """Start torchrun on one machine of two."""
        rendezvous = [
            "--nnodes=2", "--nproc-per-node=1", "--max-restarts=3", f"--rdzv-id={out}", "--rdzv-backend=c10d",
            f"--rdzv-endpoint=127.0.0.1:{port}", "--local-addr=127.0.0.1",
            f"--rdzv-conf=join_timeout={TIMEOUT},keep_alive_interval=1,keep_alive_max_attempt=8",
        ]  # fmt: skip
        return self.start(["torchrun", *rendezvous, *self.arguments(out)], log, **env)

    def wait(self, process: subprocess.Popen, log: str, code: int = 0) -> str:
        """Wait for a process; returns what it wrote."""
        done, text = process.wait(TIMEOUT), (self.folder / log).read_text()
        assert done == code, text[-3000:]
        return text

    def results(self, out: str) -> dict[str, bytes]:
        """All that a run leaves, by name."""
        files = [path for path in (self.folder / out).rglob("*") if path.is_file()]
        assert files and not (self.folder / f"{out}.resume").exists()
        contents = {path.relative_to(self.folder / out).as_posix(): path.read_bytes() for path in files}
        return contents | {"curve": (self.folder / f"{out}.csv").read_bytes()}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port: int) -> None:
    """Wait until a process listens: the agent that hosts the rendezvous, without which there is none."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, root):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), root)
    yield cluster
    for process in cluster.started:
        process.kill()


@pytest.fixture(scope="module")
def undisturbed(cluster, root):
    """The run by the sbatch script of the docs, of which a process for each GPU, the port and the stage are changed."""
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n#SBATCH.*?)```", (root / "docs/scaling.md").read_text(), re.DOTALL)
    changes = {
        "--nproc-per-node 4": "--nproc-per-node 1",
        ":29500": f":{free_port()}",
        "stages/finetune.py em-sam-lora-20 ...": " ".join(cluster.arguments("whole")),
    }
    for old, new in changes.items():
        assert script.count(old) == 1, old
        script = script.replace(old, new)
    (cluster.folder / "bin").mkdir()
    for name, text in {**SLURM, "job": script}.items():
        (cluster.folder / "bin" / name).write_text(text)
        (cluster.folder / "bin" / name).chmod(0o755)
    nodes = re.findall(r"--nodes=(\d+)", script)[0]
    job = {"SLURM_NNODES": nodes, "SLURM_JOB_NODELIST": "two-machines", "SLURM_JOB_ID": "7"}
    cluster.wait(cluster.start(["job"], "job.log", **job), "job.log")
    return cluster.results("whole")


def test_the_script_for_slurm_trains_to_the_end(cluster, undisturbed):
    curve = pd.read_csv(cluster.folder / "whole.csv")
    assert list(curve.epoch) == list(range(1, EPOCHS + 1)) and curve.loss.iloc[-1] < curve.loss.iloc[0]
    assert "model.safetensors" in undisturbed


def test_a_machine_that_is_lost_and_comes_back_changes_no_byte(cluster, undisturbed):
    port, stop = free_port(), cluster.folder / "stopped"
    first = cluster.start_agent("broken", port, "first.log")
    wait_for(port)
    second = cluster.start_agent("broken", port, "second.log", STOP_AT=str(stop))
    cluster.wait(second, "second.log", -signal.SIGKILL)
    again = cluster.wait(cluster.start_agent("broken", port, "again.log", STOP_AT=str(stop)), "again.log")
    text = cluster.wait(first, "first.log")
    assert stop.exists() and "resuming after epoch 2" in text + again
    assert "lost the connection to another process" in text
    assert cluster.results("broken") == undisturbed
