"""Which studies are held to one instruction set and one thread, and that the libraries heed it."""

import json
import os
import subprocess
import sys

from imports import STAGES
from promptseg.core import portable

LIBRARIES = """
import json, os, sys
from promptseg.core import portable
if sys.argv[1] == "held":
    portable.hold()
import cv2, numpy, torch
from promptseg.core.devices import Processes, configure_torch

def state():
    return [torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory,
            torch.get_num_threads(), os.environ.get("CUBLAS_WORKSPACE_CONFIG")]

torch.set_num_threads(1)
states = [state()]
processes = Processes()
states.append(state())
processes.cores = 2
for _ in range(2):
    configure_torch(processes)
    states.append(state())
kernels = numpy.lib.introspect.opt_func_info(func_name="^exp$")["exp"].values()
print(json.dumps({
    "held": portable.held(), "torch": torch.backends.cpu.get_cpu_capability(), "states": states,
    "numpy": sorted({kernel["current"] for kernel in kernels}), "opencv": cv2.ipp.getIppVersion(),
    "openmp": torch.__config__.parallel_info(),
}))
"""


def libraries(tmp_path, mode):
    env = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "CUBLAS_"))}
    command = [sys.executable, "-c", LIBRARIES, mode]
    done = subprocess.run(
        command, cwd=tmp_path, env={**env, "PYTHONPATH": str(STAGES)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return json.loads(done.stdout)


def test_held_libraries_use_avx2_and_one_thread_and_free_ones_what_there_is(tmp_path):
    held, free = libraries(tmp_path, "held"), libraries(tmp_path, "free")
    assert held["held"] and held["torch"] == "AVX2"
    assert not {"X86_V4", "AVX512_ICL", "AVX512_SPR"} & set(held["numpy"])
    assert "(l9)" in held["opencv"]  # IPP's name of AVX2
    assert "omp_get_max_threads() : 1" in held["openmp"]
    assert not free["held"]
    for given, threads in ((held, 1), (free, 2)):  # configure_torch alone changes global settings
        assert given["states"] == [[False, True, 1, None]] * 2 + [[True, False, threads, ":4096:8"]] * 2


def test_the_scale_of_the_study_decides_and_a_wrong_or_missing_one_is_not_held(tmp_path):
    path = tmp_path / "params.yaml"
    assert not portable.wanted(path)
    path.write_text("scale: {checkpoints: tiny}")
    assert portable.wanted(path)
    wrong = "scale: {}", "scale: tiny", "scale: [", "- 1", ""
    for text in ("scale: {checkpoints: official}", "scale: {checkpoints: other}", *wrong):
        path.write_text(text)
        assert not portable.wanted(path), text
