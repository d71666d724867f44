"""The encoders against the machine's own matmul: which share of its rate they reach, and where the rest goes.

    PYTHONPATH=stages:tests python tests/benchmarks/bench_encoder.py [sam sam2 clipseg]

Random weights of the true size: SAM ViT-B and SAM 2 Hiera-tiny at 1024, CLIPSeg's vision part at 352. From a picture of
1024x768 to features, its scaling included. In each round the encoder, matmuls of 2048x2048 and the encoder's own linear
layers by themselves are timed in turn, in fp32 and with the linear layers in bf16; the figures are each one's least
processor time on one thread, to which what others run at the same time adds least. FLOPs are counted by torch, for
products, convolutions and attention. bf16's share is of the bf16 matmul's rate, though its attention stays in fp32.
"""

import sys
import time
from collections import Counter, defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from bench_clipseg import model as clipseg
from promptseg import models
from promptseg.core.devices import Processes
from promptseg.nn import precision
from torch.utils.flop_counter import FlopCounterMode

ROUNDS, SIDE = 3, 2048
GROUPS = {  # of the profiler's names, in this order
    "linear": ("addmm", "aten::mm"),
    "attention": ("scaled_dot_product", "bmm"),
    "convolution": ("conv",),
    "norm": ("norm",),
    "activation": ("gelu", "sigmoid", "softmax"),
    "copies and layout": ("copy_", "cat", "fill_", "pad", "index"),
    "sums and products": ("aten::add", "aten::mul", "aten::sub", "aten::div"),
}


def seconds(work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def linear_shapes(model, picture: np.ndarray) -> Counter:
    """(rows, in, out) of each product of the encoder's linear layers, and how often."""
    shapes, hooks = Counter(), []
    for name, module in model.named_modules():
        if name.startswith(model.ENCODER) and isinstance(module, torch.nn.Linear):
            hooks.append(
                module.register_forward_pre_hook(
                    lambda layer, values: shapes.update(
                        [(values[0].numel() // layer.in_features, layer.in_features, layer.out_features)]
                    )
                )
            )
    model.encode([picture])
    for hook in hooks:
        hook.remove()
    return shapes


def given(rows: int, inner: int, outer: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """What a linear layer takes: values, weight, bias."""
    return [torch.randn(*shape).to(dtype) for shape in ((rows, inner), (outer, inner), (outer,))]


def account(model, picture: np.ndarray) -> str:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        model.encode([picture])
    spent = defaultdict(float)
    for event in profile.key_averages():
        group = next((name for name, parts in GROUPS.items() if any(part in event.key for part in parts)), "other")
        spent[group] += event.self_cpu_time_total
    whole = sum(spent.values())
    shares = sorted(spent.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {100 * value / whole:.0f} %" for name, value in shares)


def measure(name: str) -> None:
    model = clipseg() if name == "clipseg" else models.load(name).create("full", 0)
    model.requires_grad_(False)
    picture = np.random.default_rng(0).integers(0, 256, (768, 1024, 3), np.uint8)
    with FlopCounterMode(display=False) as counter:
        model.encode([picture])
    flops = counter.get_total_flops()
    shapes = linear_shapes(model, picture)
    linear = sum(2 * rows * i * o * count for (rows, i, o), count in shapes.items())
    print(f"{name}: {flops / 1e9:.0f} GFLOP a picture, {100 * linear / flops:.0f} % of it in linear layers")
    least: dict[tuple[str, str], float] = defaultdict(lambda: float("inf"))
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    squares = {kind: torch.randn(SIDE, SIDE).to(dtype) for kind, dtype in kinds.items()}
    layers = {kind: [(given(*shape, dtype), count) for shape, count in shapes.items()] for kind, dtype in kinds.items()}
    for _ in range(ROUNDS):
        for kind in kinds:
            precision.apply(model, kind)
            sides = {
                "encode": lambda: model.encode([picture]),
                "square": lambda: squares[kind] @ squares[kind],
                "layers": lambda: [F.linear(*tensors) for tensors, count in layers[kind] for _ in range(count)],
                "scaling": lambda: model.frame.pixels([picture]),
            }
            for side, work in sides.items():
                least[kind, side] = min(least[kind, side], seconds(work))
    for kind in kinds:
        rate, square = flops / least[kind, "encode"] / 1e9, 2 * SIDE**3 / least[kind, "square"] / 1e9
        own = linear / least[kind, "layers"] / 1e9
        print(
            f"  {kind}: {least[kind, 'encode']:.2f} s of processor time, {rate:.0f} GFLOP/s; matmul of {SIDE}: "
            f"{square:.0f}, share {rate / square:.2f}; its linear layers alone: {own:.0f}, share {rate / own:.2f}"
        )
        precision.apply(model, kind)
        scaling = 100 * least[kind, "scaling"] / least[kind, "encode"]
        print(f"    {account(model, picture)}; of all, scaling the picture {scaling:.0f} %")


def main() -> None:
    torch.manual_seed(0)
    Processes()
    torch.set_num_threads(1)
    with torch.inference_mode():
        for name in sys.argv[1:] or ("clipseg", "sam2", "sam"):
            measure(name)


if __name__ == "__main__":
    main()
