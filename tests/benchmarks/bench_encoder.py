"""Encoders compared with the machine's matmul: the share of its rate that they reach, and where the rest is spent.

    PYTHONPATH=stages python tests/benchmarks/bench_encoder.py [sam sam2 clipseg owlv2 ...]

Random weights at full size (`full_size`), such as SAM ViT-B and SAM 2 Hiera-tiny at 1024, CLIPSeg's vision encoder at
352. From an image of 1024x768 to features, including the image transform. In each round the encoder, matmuls of
2048x2048 and the encoder's linear layers alone are timed in turn, in fp32 and in bf16 (`nn.precision`); reported is the
least processor time of each on one thread, which other processes affect least. FLOPs are counted by torch, for
products, convolutions and attention. The share of bf16 is of the rate of a bf16 matmul, though not all operations of
the encoder are in bf16.
"""

import math
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable

import full_size
import numpy as np
import torch
import torch.nn.functional as F
from promptseg.core.devices import Processes, configure_torch
from promptseg.nn import precision
from promptseg.nn.segmenter import Segmenter
from torch.utils.flop_counter import FlopCounterMode

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # of the profiler, which else tells of each start on stderr
ROUNDS, SIDE = 3, 2048
GROUPS = {  # of operations: substrings of the profiler's names, the first match counts
    "linear": ("addmm", "aten::mm"),
    "attention": ("scaled_dot_product", "bmm"),
    "convolution": ("conv",),
    "norm": ("norm",),
    "activation": ("gelu", "sigmoid", "softmax"),
    "copies and layout": ("copy_", "cat", "fill_", "pad", "index"),
    "sums and products": ("aten::add", "aten::mul", "aten::sub", "aten::div"),
}


def seconds(work: Callable[..., object], *args) -> float:
    start = time.process_time()
    work(*args)
    return time.process_time() - start


def linear_shapes(model: Segmenter, image: np.ndarray) -> Counter[tuple[int, int, int]]:
    """Count the products of the encoder's linear layers by shape: (rows, in, out)."""
    shapes: Counter[tuple[int, int, int]] = Counter()
    hooks = []
    for name, module in model.named_modules():
        if name.startswith(model.ENCODER) and isinstance(module, torch.nn.Linear):
            hooks.append(
                module.register_forward_pre_hook(
                    lambda layer, values: shapes.update(
                        [(values[0].numel() // layer.in_features, layer.in_features, layer.out_features)]
                    )
                )
            )
    model.encode([image])
    for hook in hooks:
        hook.remove()
    return shapes


def linear_inputs(rows: int, inner: int, outer: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """Random values, weight and bias of a linear layer."""
    return [torch.randn(*shape).to(dtype) for shape in ((rows, inner), (outer, inner), (outer,))]


def run_layers(layers: list[tuple[list[torch.Tensor], int]]) -> None:
    for tensors, count in layers:
        for _ in range(count):
            F.linear(*tensors)


def profile_shares(model: Segmenter, image: np.ndarray) -> str:
    """Describe the share of each group of operations in the time of the encoder."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        model.encode([image])
    spent: dict[str, float] = defaultdict(float)
    for event in profile.key_averages():
        group = next((name for name, keys in GROUPS.items() if any(key in event.key for key in keys)), "other")
        spent[group] += event.self_cpu_time_total
    total = sum(spent.values())
    shares = sorted(spent.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {100 * value / total:.0f} %" for name, value in shares)


def measure(name: str) -> None:
    model = full_size.create(name).requires_grad_(False)
    image = np.random.default_rng(0).integers(0, 256, (768, 1024, 3), np.uint8)
    with FlopCounterMode(display=False) as counter:
        model.encode([image])
    flops = counter.get_total_flops()
    shapes = linear_shapes(model, image)
    linear = sum(2 * rows * i * o * count for (rows, i, o), count in shapes.items())
    print(f"{name}: {flops / 1e9:.0f} GFLOP an image, {100 * linear / flops:.0f} % of it in linear layers")
    least: dict[tuple[str, str], float] = defaultdict(lambda: float("inf"))
    dtypes: dict[precision.Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
    squares = {kind: torch.randn(SIDE, SIDE).to(dtype) for kind, dtype in dtypes.items()}
    layers = {
        kind: [(linear_inputs(*shape, dtype), count) for shape, count in shapes.items()]
        for kind, dtype in dtypes.items()
    }
    for _ in range(ROUNDS):
        for kind in dtypes:
            precision.apply(model, kind)
            times = {
                "encode": seconds(model.encode, [image]),
                "square": seconds(torch.matmul, squares[kind], squares[kind]),
                "layers": seconds(run_layers, layers[kind]),
                "transform": seconds(model.transform.to_input, [image]),
            }
            for part, value in times.items():
                least[kind, part] = min(least[kind, part], value)
    for kind in dtypes:
        rate, square = flops / least[kind, "encode"] / 1e9, 2 * SIDE**3 / least[kind, "square"] / 1e9
        layers_rate = linear / least[kind, "layers"] / 1e9 if linear else math.nan
        print(
            f"  {kind}: {least[kind, 'encode']:.2f} s of processor time, {rate:.0f} GFLOP/s; matmul of {SIDE}: "
            f"{square:.0f}, share {rate / square:.2f}; "
            f"its linear layers alone: {layers_rate:.0f}, share {rate / layers_rate:.2f}"
        )
        precision.apply(model, kind)
        transform = 100 * least[kind, "transform"] / least[kind, "encode"]
        print(f"    {profile_shares(model, image)}; the image transform is {transform:.0f} % of all")


def main() -> None:
    torch.manual_seed(0)
    configure_torch(Processes())
    torch.set_num_threads(1)
    with torch.inference_mode():
        for name in sys.argv[1:] or ("clipseg", "sam2", "sam"):
            measure(name)


if __name__ == "__main__":
    main()
