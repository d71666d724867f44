"""Everything that needs a GPU, in one command: are results those of a CPU, and what do batches, bf16 and kernels gain?

    PYTHONPATH=stages:tests/helpers python tests/benchmarks/gpu_check.py OUT.json [--deadline SECONDS] [--rows NAME ...]

Needs torch, transformers and numpy; a row that needs a package that is missing is skipped and says which. Each row runs
in a process of its own, so that a failure, a sticky error of the GPU or a row that takes too long ends that row alone.
OUT.json is written after each row:

    {"device": "NVIDIA H200", "rehearsal": false, "missing": [], "rows": {"matmul": {"status": "ok", "seconds": 3.1,
     ...}}}

`status` is ok, failed, skipped or "out of time", the last three with a `reason` in one line. Without a GPU it is a
rehearsal of the same rows at tiny sizes, whose times say nothing.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import transformers  # noqa: F401  # imported once, before the processes of the rows are forked
from gpu_rig import Rig, make_rig, reason

# What promptseg imports beyond torch, transformers and numpy.
PACKAGES = (
    "PIL", "accelerate", "cv2", "filelock", "pandas", "peft", "psutil", "pyarrow", "pycocotools", "pydantic",
    "safetensors", "segment_anything", "segmentation_models_pytorch", "tifffile", "torchvision", "tqdm", "typer",
    "yaml",
)  # fmt: skip
DEADLINE = 460.0  # seconds for all rows


@dataclass(frozen=True)
class Row:
    """A check. run: what it measures, by name, and a `status` that is not ok; limit: seconds that it may take."""

    run: Callable[[Rig], dict[str, Any]]
    limit: float


def rows() -> dict[str, Row]:
    """All rows by name, the most important first."""
    import gpu_encoder
    import gpu_rows
    import gpu_speed

    return {
        "versions": Row(gpu_rows.versions, 30),
        "attention": Row(gpu_rows.attention, 40),
        "matmul": Row(gpu_encoder.matmul, 30),
        "encoder_sam": Row(partial(gpu_encoder.encoder, "sam"), 90),
        "encoder_sam2": Row(partial(gpu_encoder.encoder, "sam2"), 90),
        "models": Row(gpu_rows.models_on_both, 90),
        "bf16": Row(gpu_rows.bf16, 40),
        "cache": Row(gpu_speed.cache, 60),
        "automatic": Row(gpu_speed.automatic, 60),
        "training": Row(gpu_speed.training, 60),
        "torchrun": Row(gpu_rows.torchrun, 60),
        "compile_sam2": Row(partial(gpu_encoder.compiled, "sam2"), 90),
        "compile_sam": Row(partial(gpu_encoder.compiled, "sam"), 90),
    }


def run(row: Row, rig_of: Callable[[], Rig], limit: float) -> dict[str, Any]:
    """Run a row in a process of its own.

    Args:
        row: the check.
        rig_of: makes what it runs on, in that process: a process that has used a GPU cannot be forked.
        limit: seconds, after which the process and its children are killed.

    Returns:
        `status`, `seconds`, and what the row measured, or the `reason`.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    start = time.perf_counter()
    child = context.Process(target=_child, args=(row, rig_of, theirs))
    child.start()
    theirs.close()
    result: dict[str, Any] = {"status": "out of time", "reason": f"more than {limit:.0f} s"}
    if ours.poll(limit):
        try:
            result = ours.recv()
        except EOFError:
            child.join()
            result = {"status": "failed", "reason": f"its process ended with {child.exitcode}"}
    child.kill()
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # type: ignore[arg-type]  # it was started
    child.join()
    return {"status": result.pop("status"), "seconds": round(time.perf_counter() - start, 1), **result}


def _child(row: Row, rig_of: Callable[[], Rig], out: Connection) -> None:
    os.setpgrp()
    try:
        out.send({"status": "ok", **row.run(rig_of())})
    except ModuleNotFoundError as error:
        out.send({"status": "skipped", "reason": f"no package {error.name}"})
    except BaseException as error:
        out.send({"status": "failed", "reason": reason(error)})


def _describe(rig: Rig) -> dict[str, Any]:
    name = torch.cuda.get_device_name(rig.device) if rig.device.type == "cuda" else "cpu"
    return {"device": name, "rehearsal": rig.rehearsal}


def check(out: Path, chosen: dict[str, Row], deadline: float, rig_of: Callable[[], Rig] = make_rig) -> dict[str, Any]:
    """Run rows one after the other, and write what they say after each.

    Args:
        out: JSON file.
        chosen: rows by name.
        deadline: seconds for all of them; those that are left then are out of time.
        rig_of: as in `run`.
    """
    end = time.perf_counter() + deadline
    about = run(Row(_describe, 60), rig_of, min(60.0, deadline))
    report: dict[str, Any] = {name: about.get(name) for name in ("device", "rehearsal")}
    report |= {"missing": [name for name in PACKAGES if importlib.util.find_spec(name) is None], "rows": {}}
    for name, row in chosen.items():
        left = end - time.perf_counter()
        if left > 1:
            report["rows"][name] = run(row, rig_of, min(row.limit, left))
        else:
            report["rows"][name] = {"status": "out of time", "seconds": 0.0, "reason": f"{deadline:.0f} s were over"}
        report["seconds"] = round(deadline - (end - time.perf_counter()), 1)
        out.write_text(json.dumps(report, indent=1) + "\n")
        shown = report["rows"][name]
        print(f"{name}: {shown['status']}, {shown['seconds']} s", shown.get("reason", ""), flush=True)
    return report


def _import_all() -> None:
    """Import what the rows need, as far as possible, so that not each process does; the rest is left to the rows."""
    for name in ("promptseg.models", "bench_automatic", "bench_training"):
        with suppress(Exception):
            module = importlib.import_module(name)
            for model in module.names() if name == "promptseg.models" else ():
                with suppress(Exception):
                    module.load(model)


def main() -> None:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--deadline", type=float, default=DEADLINE)
    parser.add_argument("--rows", nargs="+", choices=list(rows()), default=list(rows()))
    options = parser.parse_args()
    _import_all()
    report = check(options.out, {name: rows()[name] for name in options.rows}, options.deadline)
    sys.exit(any(row["status"] == "failed" for row in report["rows"].values()))


if __name__ == "__main__":
    main()
