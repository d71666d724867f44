"""Which studies are held to one instruction set and one thread, and that the libraries heed it."""

import json
import os
import subprocess
import sys

import pytest
from imports import STAGES
from promptseg.core import portable

LIBRARIES = """
import json, sys
from promptseg.core import portable
if sys.argv[1] == "held":
    portable.hold()
import cv2, numpy, torch
from promptseg.core.devices import Processes, configure_torch
processes = Processes()
processes.cores = 2
configure_torch(processes)
kernels = numpy.lib.introspect.opt_func_info(func_name="^exp$")["exp"].values()
print(json.dumps({
    "held": portable.held(), "torch": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(),
    "numpy": sorted({kernel["current"] for kernel in kernels}), "opencv": cv2.ipp.getIppVersion(),
    "openmp": torch.__config__.parallel_info(),
}))
"""


def libraries(tmp_path, mode):
    env = {key: value for key, value in os.environ.items() if not key.startswith("OMP_")} | {"PYTHONPATH": str(STAGES)}
    command = [sys.executable, "-c", LIBRARIES, mode]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return json.loads(done.stdout)


def test_held_libraries_use_avx2_and_one_thread_and_free_ones_what_there_is(tmp_path):
    held, free = libraries(tmp_path, "held"), libraries(tmp_path, "free")
    assert held["held"] and (held["torch"], held["threads"]) == ("AVX2", 1)
    assert not {"X86_V4", "AVX512_ICL", "AVX512_SPR"} & set(held["numpy"])
    assert "(l9)" in held["opencv"]  # IPP's name of AVX2
    assert "omp_get_max_threads() : 1" in held["openmp"]
    assert not free["held"] and free["threads"] == 2


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("scale: {checkpoints: tiny}", True),
        ("scale: {checkpoints: official}", False),
        ("scale: {}", False),
        ("scale: tiny", False),
        ("scale: [", False),
        ("- 1", False),
        ("", False),
    ],
)
def test_the_scale_of_the_study_decides(tmp_path, text, wanted):
    (tmp_path / "params.yaml").write_text(text)
    assert portable.wanted(tmp_path / "params.yaml") == wanted


def test_a_missing_study_is_not_held(tmp_path):
    assert not portable.wanted(tmp_path / "params.yaml")
