"""Processes has no global side effects; configure_torch has them all."""

import subprocess
import sys

CODE = """
import os, torch
from promptseg.core.devices import Processes, configure_torch
def state():
    return (torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory,
            torch.get_num_threads(), os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
torch.set_num_threads(1)
before = state()
processes = Processes()
assert state() == before == (False, True, 1, None), state()
processes.cores = 2
for _ in range(2):
    configure_torch(processes)
    assert state() == (True, False, 2, ":4096:8"), state()
assert processes.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
values = [torch.ones(2, 3), torch.tensor(4.0)]
processes.sum(values)
assert values[0].sum() == 6 and values[1] == 4
processes.wait()
processes.close()
"""


def test_only_configure_torch_changes_global_settings(root):
    env = {"PYTHONPATH": str(root / "stages")}
    done = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
