"""Fine-tuning a decoder compared with the usual loop, which encodes every image in every step: 20 epochs of 8 images.

SAM ViT-B at 1024 and CLIPSeg at 352, at full size with random weights; batches of 2, Adam, Dice. The usual loop is
transformers' processor and model with a frozen encoder; as each of its steps costs the same, one is timed and
multiplied. Then, with CLIPSeg: an epoch over twice the images, the loop with a model that costs nothing, and memory
after an epoch over eight times the images.

Times are processor seconds. Run: PYTHONPATH=stages python tests/benchmarks/bench_training.py [sam | clipseg]
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from bench_clipseg import create_network, create_segmenter
from promptseg import models
from promptseg.core.runs import FineTune
from promptseg.data import image_io, records
from promptseg.models import clipseg
from promptseg.nn import weights
from promptseg.nn.segmenter import Features, LossContext, Segmenter
from promptseg.prompts import Prompt
from promptseg.training import trainer
from promptseg.training.losses import dice
from promptseg.training.setup import Inputs, Job
from promptseg.training.trainer import Outputs
from transformers import SamImageProcessor, SamProcessor, ViTImageProcessor

EPOCHS, IMAGES, BATCH_SIZE = 20, 8, 2
HEIGHT, WIDTH = 768, 1024
BOX = (200, 150, 700, 600)
PROMPTS = {"sam": {"box": True}, "clipseg": {"text": ["disc"]}}
TRAINABLE = {"sam": "mask_decoder", "clipseg": "decoder"}


def timed(work: Callable[[], object]) -> float:
    """Processor seconds of all threads, which other processes on the machine affect less than wall time."""
    start = time.process_time()
    work()
    return time.process_time() - start


def draw(number: int) -> tuple[np.ndarray, np.ndarray]:
    """An image (HEIGHT, WIDTH, 3) uint8 and its mask (HEIGHT, WIDTH) uint8."""
    noise = np.random.default_rng(number).integers(0, 60, (HEIGHT, WIDTH, 3), np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 1
    return noise + 150 * mask[..., None], mask


def write_split(folder: Path, name: str, count: int) -> Path:
    with records.RecordWriter(folder / name, records.Record, {"classes": ["disc"], "score": "image", "seed": 0}) as out:
        for number in range(count):
            id, (image, mask) = f"{name}/{number}", map(image_io.encode_png, draw(number))
            inside = (BOX[2] - BOX[0]) * (BOX[3] - BOX[1])
            out.add(records.Record(id, "g", image, mask, HEIGHT, WIDTH, id, 0, 0, HEIGHT, WIDTH, foreground=inside))
    return folder / name


def finetune(folder: Path, name: str, epochs: int, count: int = IMAGES) -> float:
    """Seconds of our training stage; features are encoded once and cached in the folder."""
    train = {"prompt": PROMPTS[name], "trainable": [TRAINABLE[name]], "epochs": epochs, "batch_size": BATCH_SIZE}
    run = FineTune.model_validate({"dataset": "em", "model": name, "prompt": PROMPTS[name], "train": train})
    splits = write_split(folder, f"train{count}", count), write_split(folder, "val", 0)
    inputs = Inputs(*splits, folder / "checkpoint", folder / "embeddings")
    outputs = Outputs(*(folder / output for output in ("resume", "weights", "curve.csv")))
    return timed(lambda: trainer.finetune(Job(run, None, 0), inputs, outputs))


def step(logits: torch.Tensor, targets: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    target = torch.nn.functional.interpolate(targets[:, None], logits.shape[-2:], mode="area")[:, 0]
    optimizer.zero_grad()
    dice(logits, target, torch.ones_like(target)).mean().backward()
    optimizer.step()


def usual_loop(name: str, network: torch.nn.Module) -> float:
    """Seconds of the usual loop for all epochs."""
    network.train().requires_grad_(False)
    decoder = getattr(network, TRAINABLE[name])
    optimizer = torch.optim.Adam(decoder.requires_grad_().parameters(), lr=1e-4)
    images, masks = zip(*map(draw, range(BATCH_SIZE)), strict=True)
    targets = torch.from_numpy(np.stack(masks)).float()
    if name == "sam":
        processor = SamProcessor(SamImageProcessor())
        boxes = [[[float(value) for value in BOX]]] * BATCH_SIZE

        def train_step():
            inputs = processor(list(images), input_boxes=boxes, return_tensors="pt")
            step(network(**inputs, multimask_output=False).pred_masks[:, 0, 0], targets, optimizer)
    else:
        processor = ViTImageProcessor(size={"height": clipseg.SIZE, "width": clipseg.SIZE}, do_resize=True)
        ids, mask = torch.tensor([[512, 320, 513]] * BATCH_SIZE), torch.ones(BATCH_SIZE, 3).long()

        def train_step():
            inputs = processor(list(images), return_tensors="pt")
            out = network(**inputs, input_ids=ids, attention_mask=mask, interpolate_pos_encoding=True)
            step(out.logits, targets, optimizer)

    train_step()
    return timed(train_step) * EPOCHS * IMAGES / BATCH_SIZE


def compare(name: str, folder: Path) -> None:
    model = models.load("sam").create("full", 0) if name == "sam" else create_segmenter(create_network())
    weights.write(folder / "checkpoint", model.configuration(), model.state_dict(), model.files())
    ours, theirs = finetune(folder, name, EPOCHS), usual_loop(name, model.network)
    print(f"{name}: {ours:.0f} s encoding once, {theirs:.0f} s encoding always: {theirs / ours:.1f} times faster")


ONLY_TRAINABLE = "network.decoder.reduces.0.bias"  # the one trained tensor of the model that costs nothing


def free_loss(
    self: Segmenter, features: Features, prompts: list[list[Prompt]], context: LossContext
) -> tuple[torch.Tensor, torch.Tensor]:
    """In place of Segmenter.compute_loss: logits and losses that cost next to nothing."""
    target, _ = context.targets(self.transform.size)
    return torch.zeros_like(target), self.network.decoder.reduces[0].bias.sum() * target[:, 0, 0]


def set_one_trainable(self: Segmenter, names: list[str]) -> list[str]:
    """In place of Segmenter.set_trainable, as the optimizer's steps count as the model's too."""
    return self.set_trainable_prefixes((ONLY_TRAINABLE,))


def own_memory() -> float:
    """MB of this process without mapped files; freed blocks are not returned to the system, so it never falls."""
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1000


def epoch_seconds(folder: Path, count: int = IMAGES) -> float:
    """Seconds of one epoch, without what a run spends before and after its epochs."""
    return (finetune(folder, "clipseg", 9, count) - finetune(folder, "clipseg", 1, count)) / 8


def measure_loop(folder: Path) -> None:
    """Time of an epoch over 8 and 16 images with cached features, how much of it is not the model's, and memory."""
    for count in (IMAGES, 2 * IMAGES):
        finetune(folder, "clipseg", 1, count)  # fills the cache
    few, many = epoch_seconds(folder), epoch_seconds(folder, 2 * IMAGES)
    with (
        mock.patch.object(Segmenter, "compute_loss", free_loss),
        mock.patch.object(Segmenter, "set_trainable", set_one_trainable),
    ):
        without_model = epoch_seconds(folder)
    memory = []
    for count in (IMAGES, 8 * IMAGES):
        finetune(folder, "clipseg", 1, count)
        memory.append(own_memory())
    print(f"memory after {IMAGES} images {memory[0]:.0f} MB, after {8 * IMAGES} {memory[1]:.0f} MB")
    print(f"an epoch over {IMAGES} images {few:.2f} s, over {2 * IMAGES} {many:.2f} s: {many / few:.2f} times")
    print(f"without the model {without_model:.2f} s: {100 * without_model / few:.0f} % of it")


def main() -> None:
    for name in sys.argv[1:] or PROMPTS:
        with tempfile.TemporaryDirectory() as folder:
            compare(name, Path(folder))
            if name == "clipseg":
                measure_loop(Path(folder))


if __name__ == "__main__":
    main()
