"""Rows of gpu_check.py that ask which batches, precisions and kernels pay off for an encoder."""

import contextlib
import copy
from collections.abc import Callable
from typing import Any

import torch
from gpu_rig import Rig, reason
from gpu_rows import outputs, tiny_encoders, without_zeros
from torch.utils.flop_counter import FlopCounterMode

GOAL = 7.6  # images a second of the best variant, over those of the plain loop
LARGE_BIAS = 1 << 30  # bytes of relative positions at a time, in place of attention.BIAS_BYTES


def _matmul_rate(rig: Rig, dtype: torch.dtype) -> float:
    """TFLOP/s of a product of square matrices."""
    side = 256 if rig.rehearsal else 8192
    a, b = (torch.randn(side, side, device=rig.device).to(dtype) for _ in range(2))
    return 2 * side**3 / rig.seconds(lambda: [torch.matmul(a, b) for _ in range(5)]) * 5 / 1e12


def matmul(rig: Rig) -> dict[str, Any]:
    """Rate of matrix products, in TFLOP/s."""
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    return {name: round(_matmul_rate(rig, dtype), 3) for name, dtype in kinds.items()}


def _network(rig: Rig, name: str) -> torch.nn.Module:
    """The encoder of SAM ViT-B or SAM 2 Hiera-tiny with random weights, in a rehearsal a tiny one."""
    from transformers import Sam2VisionConfig, Sam2VisionModel, SamVisionConfig, SamVisionModel

    if rig.rehearsal:
        return tiny_encoders()[name]
    torch.manual_seed(0)
    if name == "sam":
        return without_zeros(SamVisionModel(SamVisionConfig(initializer_range=0.02)))
    return without_zeros(Sam2VisionModel(Sam2VisionConfig()))


@torch.inference_mode()
def encoder(name: str, rig: Rig) -> dict[str, Any]:
    """Images a second of variants of an encoder, from normalized pixels on the device to features in CPU memory.

    The plain loop is transformers' own network, one image at a time, in fp32.
    """
    from promptseg.nn import attention
    from promptseg.nn.overrides import override_forward

    plain = _network(rig, name).to(rig.device).requires_grad_(False)
    ours = copy.deepcopy(plain)
    override_forward(ours, attention.FORWARDS)
    bench = _Bench(rig, plain, ours)
    half = copy.deepcopy(ours).to(torch.bfloat16)
    bench.measure("plain loop", lambda batch: outputs(plain, batch), 1)
    bench.measure("ours, one by one, fp32", lambda batch: outputs(ours, batch), 1)
    bench.measure("ours, batch, fp32", lambda batch: outputs(ours, batch), bench.size)
    bench.measure("ours, batch, autocast", _autocast(rig, ours), bench.size)
    with _large_bias():
        bench.measure("ours, batch, autocast, all heads at once", _autocast(rig, ours), bench.size)
        bench.measure("ours, batch, weights in bf16", _in_bf16(half), bench.size)
        last = copy.deepcopy(half).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        bench.measure("channels last", _in_bf16(last), bench.size)
        if rig.device.type == "cuda":
            bench.measure("CUDA graph", _graph(_in_bf16(half), bench.images), bench.size)
    return bench.summary()


@torch.inference_mode()
def compiled(name: str, rig: Rig) -> dict[str, Any]:
    """The same with torch.compile, which may take minutes, against weights in bf16 alone."""
    from promptseg.nn import attention
    from promptseg.nn.overrides import override_forward

    network = _network(rig, name).to(rig.device).requires_grad_(False)
    override_forward(network, attention.FORWARDS)
    bench, encode = _Bench(rig, network, network), _in_bf16(copy.deepcopy(network).to(torch.bfloat16))
    with _large_bias():
        bench.measure("ours, batch, weights in bf16", encode, bench.size)
        backend = "eager" if rig.rehearsal else "inductor"
        bench.measure("torch.compile", torch.compile(encode, backend=backend), bench.size)
    return bench.variants | {"batch": bench.size}


class _Bench:
    """Times variants of an encoder on the same images.

    Attributes:
        size: of a batch, as the embedding cache chooses it.
        images: (size, 3, side, side), normalized.
        variants: what was measured, by name.
    """

    def __init__(self, rig: Rig, plain: torch.nn.Module, ours: torch.nn.Module):
        from promptseg.nn import batch_sizes

        self._rig, side = rig, 128 if rig.rehearsal else 1024
        one = torch.randn(1, 3, side, side, device=rig.device)
        self._expected = [values.float().cpu() for values in outputs(plain, one)]
        chosen = batch_sizes.images(lambda: outputs(ours, one), side, rig.device)
        self.size = 2 if rig.rehearsal else chosen
        self.images = torch.cat([one, torch.randn(self.size - 1, 3, side, side, device=rig.device)])
        self.variants: dict[str, dict[str, Any]] = {}
        self._flops, self._product = _flops(ours, one), _matmul_rate(rig, torch.bfloat16)

    def measure(self, name: str, encode: Callable[[torch.Tensor], list[torch.Tensor]], count: int) -> None:
        """Time batches of `count` images; a variant that fails says why, and the others are still measured."""
        batches = self.images.split(count)

        def work() -> list[list[torch.Tensor]]:
            return [[values.half().cpu() for values in encode(batch)] for batch in batches]

        try:
            first, preparation = self._rig.once(lambda: encode(batches[0]))
            apart = [(a[:1].float().cpu() - b).abs().mean() / b.abs().mean() for a, b in zip(first, self._expected)]
            self.variants[name] = {
                "images_per_second": round(self.size / self._rig.seconds(work, 2), 2),
                "first_call_seconds": round(preparation, 1), "relative_difference": round(float(max(apart)), 5),
            }  # fmt: skip
        except Exception as error:
            self.variants[name] = {"error": reason(error)}

    def summary(self) -> dict[str, Any]:
        """The variants, and of the best one its gain and its share of the rate of matrix products in bf16."""
        rates = {name: value.get("images_per_second", 0.0) for name, value in self.variants.items()}
        best = max(rates, key=lambda name: rates[name])
        rate = self._flops * rates[best] / 1e12
        return {
            "batch": self.size, "best": best, "goal": GOAL,
            "times_the_plain_loop": round(rates[best] / rates["plain loop"], 2),
            "gflop_an_image": round(self._flops / 1e9, 3),
            "tflops": round(rate, 3), "matmul_bf16_tflops": round(self._product, 3),
            "share_of_matmul": round(rate / self._product, 3), "variants": self.variants,
        }  # fmt: skip


def _autocast(rig: Rig, network: torch.nn.Module) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """As `precision: bf16` computes."""

    def encode(batch: torch.Tensor) -> list[torch.Tensor]:
        with torch.autocast(rig.device.type, torch.bfloat16):
            return outputs(network, batch)

    return encode


def _in_bf16(network: torch.nn.Module) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    return lambda batch: outputs(network, batch.bfloat16())


@contextlib.contextmanager
def _large_bias():
    """Context in which relative positions of all heads are added at once, as a GPU has the memory for it."""
    from promptseg.nn import attention

    before, attention.BIAS_BYTES = attention.BIAS_BYTES, LARGE_BIAS
    try:
        yield
    finally:
        attention.BIAS_BYTES = before


def _graph(
    encode: Callable[[torch.Tensor], list[torch.Tensor]], batch: torch.Tensor
) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """Replay a recording of `encode`, made at the first call."""
    recorded: list[Any] = []

    def replay(given: torch.Tensor) -> list[torch.Tensor]:
        if not recorded:
            held, graph, side_stream = given.clone(), torch.cuda.CUDAGraph(), torch.cuda.Stream()
            side_stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side_stream):
                encode(held)
            torch.cuda.current_stream().wait_stream(side_stream)
            with torch.cuda.graph(graph):
                out = encode(held)
            recorded[:] = [held, graph, out]
        held, graph, out = recorded
        held.copy_(given)
        graph.replay()
        return out

    return replay


def _flops(network: torch.nn.Module, pixels: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter:
        outputs(network, pixels)
    return counter.get_total_flops()
