"""The same bytes on every x86-64 processor with AVX2, for the tiny networks of the sample scale.

Libraries choose their kernels by the processor's instructions and cores, and the last bits of a sum depend on the
kernel; training makes percents of them. Held to one instruction set and one thread, Intel and AMD processors of all
generations agree. That takes up to twice the time in large networks, so released checkpoints run at full speed.
"""

import os
from pathlib import Path

import yaml

_HELD = "PROMPTSEG_PORTABLE"
_SETTINGS = {
    _HELD: "1",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",  # MKL's branch for AVX2 takes other kernels on AMD's processors
    "OPENCV_IPP": "avx2",
    "OPENBLAS_CORETYPE": "Haswell",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}


def wanted(params: Path = Path("params.yaml")) -> bool:
    """Return whether the networks are tiny: `scale.checkpoints` of the study; False where the file is missing or wrong.

    What is wrong is left to the stage to report.
    """
    try:
        return yaml.load(params.read_text("utf-8"), yaml.CSafeLoader)["scale"]["checkpoints"] == "tiny"
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return False


def hold() -> None:
    """Hold this process and its children to AVX2 and one thread.

    Call it before numpy, OpenCV or torch is imported: they look at the environment only then.
    """
    os.environ.update(_SETTINGS)


def held() -> bool:
    """Return whether this process was held."""
    return _HELD in os.environ
