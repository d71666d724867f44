"""Rows of gpu_check.py that ask whether a GPU computes what a CPU does."""

import copy
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from gpu_rig import Rig, reason

TOLERANCE = 1e-3  # of logits and of probabilities, between CPU and GPU
DISTRIBUTIONS = ("torch", "transformers", "numpy", "accelerate", "triton")
# A process of a torchrun: a sum over all processes, by torch and, where promptseg can be imported, by its own code.
WORKER = """
import json, os, torch
import torch.distributed as dist
on_gpu = torch.cuda.is_available()
device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else torch.device("cpu")
try:
    from promptseg.core.devices import Processes
    processes = Processes()
    device, own = processes.device, processes.gather(3)
except ModuleNotFoundError as error:
    own = f"no package {error.name}"
    dist.init_process_group("nccl" if on_gpu else "gloo")
values = torch.arange(1 << 20, device=device, dtype=torch.float32)
dist.all_reduce(values)
print(json.dumps({"backend": dist.get_backend(), "device": str(device), "processes": dist.get_world_size(),
                  "sum_is_right": bool((values.cpu() == torch.arange(1 << 20)).all()), "gathered": own}))
dist.destroy_process_group()
"""


def versions(rig: Rig) -> dict[str, Any]:
    """What is installed, and the device."""
    found = {name: importlib.metadata.version(name) for name in DISTRIBUTIONS if importlib.util.find_spec(name)}
    about: dict[str, Any] = {"python": platform.python_version(), "cores": len(os.sched_getaffinity(0)), **found}
    if rig.device.type == "cuda":
        properties = torch.cuda.get_device_properties(rig.device)
        about |= {"cuda": torch.version.cuda, "memory_gb": round(properties.total_memory / 1e9, 1)}
    return about


def tiny_encoders() -> dict[str, torch.nn.Module]:
    """Vision encoders of transformers with random weights, which need nothing of promptseg."""
    from transformers import Sam2VisionConfig, Sam2VisionModel, SamVisionConfig, SamVisionModel

    torch.manual_seed(0)
    sam = SamVisionConfig(
        hidden_size=64, output_channels=64, num_hidden_layers=4, num_attention_heads=4, image_size=128, patch_size=8,
        window_size=8, global_attn_indexes=[1, 3], mlp_dim=128, initializer_range=0.02,
    )  # fmt: skip
    backbone = dict(
        model_type="sam2_hiera_det_model", hidden_size=16, image_size=[128, 128], patch_stride=[2, 2],
        blocks_per_stage=[1, 1, 3, 1], embed_dim_per_stage=[16, 32, 64, 128],
        num_attention_heads_per_stage=[1, 2, 4, 8], window_size_per_stage=[8, 8, 8, 8], global_attention_blocks=[3],
        window_positional_embedding_background_size=[16, 16],
    )  # fmt: skip
    sam2 = Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=[128, 64, 32, 16], fpn_hidden_size=32,
        backbone_feature_sizes=[[64, 64], [32, 32], [16, 16]],
    )  # fmt: skip
    return {"sam": without_zeros(SamVisionModel(sam)), "sam2": without_zeros(Sam2VisionModel(sam2))}


@torch.no_grad()
def without_zeros(network: torch.nn.Module) -> torch.nn.Module:
    """Give random values to parameters that begin as zeros, such as relative positions: else they take no part."""
    for parameter in network.parameters():
        if not parameter.any():
            parameter.normal_(0, 0.02)
    return network.eval()


def outputs(encoder: torch.nn.Module, pixels: torch.Tensor) -> list[torch.Tensor]:
    """Feature maps (n, c, h, w) of a vision encoder of SAM or SAM 2."""
    out = encoder(pixels)
    maps = getattr(out, "fpn_hidden_states", None)
    return [out.last_hidden_state] if maps is None else list(maps)


def _difference(first: list[torch.Tensor], second: list[torch.Tensor]) -> float:
    return max(float((a.float().cpu() - b.float().cpu()).abs().max()) for a, b in zip(first, second, strict=True))


@torch.inference_mode()
def attention(rig: Rig) -> dict[str, Any]:
    """Our attention layers against those of transformers on this device, and this device against the CPU."""
    from promptseg.nn import attention as layers
    from promptseg.nn.overrides import override_forward

    found: dict[str, Any] = {}
    for name, plain in tiny_encoders().items():
        pixels = torch.randn(3, 3, 128, 128)
        expected = outputs(plain, pixels)
        ours = copy.deepcopy(plain)
        override_forward(ours, layers.FORWARDS)
        on_device = [outputs(network.to(rig.device), pixels.to(rig.device)) for network in (plain, ours)]
        found[name] = {
            "ours_against_transformers": _difference(*on_device),
            "against_cpu": _difference(on_device[1], expected),
            "range": round(max(float(values.abs().max()) for values in expected), 2),
        }
        found[name]["equal"] = found[name]["against_cpu"] <= TOLERANCE
    return found | _verdict(found)


def _verdict(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The row has failed where a network is not equal on both; nothing where all are."""
    wrong = [name for name, value in found.items() if not value.get("equal")]
    return {"status": "failed", "reason": f"not as on a CPU: {', '.join(wrong)}"} if wrong else {}


def _cases(kind: Any) -> Iterator[tuple[str, np.ndarray, list]]:
    """Kinds of prompts that a model decodes, an image, and prompts for it in pixels of the image."""
    from promptseg.prompts import PromptConfig, PromptSource, build_prompts
    from promptseg.prompts.support import SupportImage

    configs: dict[str, dict[str, Any]] = {
        "points": {"points": 2}, "box": {"box": True}, "box + points": {"box": True, "points": 1},
        "mask": {"mask": True}, "text": {"text": ["a disc"]}, "support": {"support": True}, "none": {},
        "exemplars": {"exemplars": 2}, "text + exemplars": {"text": ["a disc"], "exemplars": 1},
        "text + support": {"text": ["a disc"], "support": True},
    }  # fmt: skip
    size = (70, 2) if kind.MODALITY == "point_cloud" else (96, 128)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    y, x = np.mgrid[: size[0], : size[1]]
    mask = ((x - size[1] / 3) ** 2 + (y - size[0] / 2) ** 2 < 300).astype(np.uint8)
    shown = {1: [SupportImage(image[::-1].copy(), mask.astype(bool))]}
    for name in sorted(kind.PROMPTS & configs.keys()):
        source = PromptSource("image", mask, ["disc"], 0, support=shown)
        yield name, image, build_prompts(PromptConfig(**configs[name]), source)[0]


def tiny_model(name: str) -> Any:
    """A model with its built-in weights, or random ones where it has none."""
    from promptseg import models, tiny

    folder = tiny.FOLDER / name
    kind = models.load(name)
    return kind.load(folder, 1).eval() if folder.is_dir() else kind.create("tiny", 0).eval()


@torch.inference_mode()
def _logits(model: Any, image: np.ndarray, image_prompts: list) -> torch.Tensor:
    inputs = [prompt.to_model(model.transform, *image.shape[:2]) for prompt in image_prompts]
    return model.decode(model.encode([image]), [inputs]).float().cpu()


def models_on_both(rig: Rig) -> dict[str, Any]:
    """Logits and probabilities of every model and kind of prompt, on a CPU and on this device."""
    from promptseg import models

    found: dict[str, Any] = {}
    for name in models.names():
        try:
            both = [tiny_model(name).to(device) for device in ("cpu", rig.device)]
            worst = {"logits": 0.0, "probabilities": 0.0}
            for _, image, image_prompts in _cases(type(both[0])):
                pair = [_logits(model, image, image_prompts) for model in both]
                worst["logits"] = max(worst["logits"], _difference([pair[0]], [pair[1]]))
                sigmoids = [[values.sigmoid()] for values in pair]
                worst["probabilities"] = max(worst["probabilities"], _difference(*sigmoids))
            found[name] = {**worst, "equal": all(value <= TOLERANCE for value in worst.values())}
        except Exception as error:  # of one model; the others are still compared
            found[name] = {"error": reason(error)}
    compared = sum("equal" in value for value in found.values())
    return {"models": found, "compared": compared, **_verdict(found)}


def bf16(rig: Rig) -> dict[str, Any]:
    """Masks of an encoder in bf16 against those in fp32, of the built-in weights: pixels that are equal."""
    from promptseg.nn import precision

    found: dict[str, Any] = {}
    for name in ("sam", "sam2", "clipseg"):
        model, masks = tiny_model(name).to(rig.device), {}
        for kind in ("fp32", "bf16"):
            precision.apply(model, kind)  # type: ignore[arg-type]  # of the two
            masks[kind] = [_logits(model, image, asked) > 0 for _, image, asked in _cases(type(model))]
        equal = [float((a == b).float().mean()) for a, b in zip(masks["fp32"], masks["bf16"], strict=True)]
        found[name] = {"equal_pixels": round(float(np.mean(equal)), 5), "worst": round(min(equal), 5)}
    return found


def torchrun(rig: Rig) -> dict[str, Any]:
    """A sum over the processes of a torchrun with one process: NCCL on a GPU, gloo on a CPU."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1", "--no-python"]
    done = subprocess.run([*command, sys.executable, "-c", WORKER], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(next((line for line in reversed(done.stderr.splitlines()) if "Error" in line), "no message"))
    return json.loads(done.stdout.splitlines()[-1])
