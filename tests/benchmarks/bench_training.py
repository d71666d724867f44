"""Fine-tuning a decoder beside the usual loop, which encodes every picture in every step: 20 epochs of 8 pictures.

SAM ViT-B at 1024 and CLIPSeg at 352 in their true sizes with random weights; batches of 2, Adam, Dice. The usual loop
is transformers' processor and model with a frozen encoder; as each of its steps costs the same, one is timed and
multiplied. Then, with CLIPSeg: an epoch over twice the pictures, the loop with a model that costs nothing, and memory
after one over eight times the pictures.

Times are processor seconds. Run: PYTHONPATH=stages python tests/benchmarks/bench_training.py [sam | clipseg]
"""

import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from promptseg import models
from promptseg.core import params
from promptseg.data import image_io, records
from promptseg.models import clipseg
from promptseg.nn import weights
from promptseg.nn.segmenter import Segmenter
from promptseg.nn.text_encoder import letters
from promptseg.training import trainer
from promptseg.training.losses import dice
from promptseg.training.setup import Inputs
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, SamImageProcessor, SamProcessor, ViTImageProcessor

EPOCHS, PICTURES, BATCH = 20, 8, 2
HEIGHT, WIDTH = 768, 1024
BOX = (200, 150, 700, 600)
RUNS = {
    "sam": {"prompt": {"box": True}, "parts": ["mask_decoder"]},
    "clipseg": {"prompt": {"text": ["disc"]}, "parts": ["decoder"]},
}


def timed(work) -> float:
    """Processor seconds of all threads, as others' work on the same machine adds less to them."""
    start = time.process_time()
    work()
    return time.process_time() - start


def picture(number: int) -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(number).integers(0, 60, (HEIGHT, WIDTH, 3), np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 1
    return noise + 150 * mask[..., None], mask


def split(folder: Path, name: str, count: int) -> Path:
    with records.RecordWriter(folder / name, records.Record, {"classes": ["disc"]}) as out:
        for number in range(count):
            image, mask = picture(number)
            whole = (HEIGHT, WIDTH, f"{name}/{number}", 0, 0, HEIGHT, WIDTH)
            out.add(records.Record(f"{name}/{number}", "g", image_io.png(image), image_io.png(mask), *whole))
    return folder / name


def ours(folder: Path, name: str, epochs: int, count: int = PICTURES) -> float:
    train = {**RUNS[name], "epochs": epochs, "batch": BATCH}
    run = {"dataset": "em", "model": name, "prompt": RUNS[name]["prompt"], "train": train}
    paths = split(folder, f"train{count}", count), split(folder, "val", 0)
    inputs = Inputs(*paths, folder / "checkpoint", folder / "embeddings")
    to = (folder / part for part in ("resume", "weights", "curve.csv"))
    return timed(lambda: trainer.finetune(params.FineTune.model_validate(run), None, 0, inputs, *to))


def step(logits: torch.Tensor, targets: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    target = torch.nn.functional.interpolate(targets[:, None], logits.shape[-2:], mode="area")[:, 0]
    optimizer.zero_grad()
    dice(logits, target, torch.ones_like(target)).mean().backward()
    optimizer.step()


def usual(name: str, network: torch.nn.Module) -> float:
    """The usual loop's seconds for all epochs."""
    network.train().requires_grad_(False)
    learns = network.mask_decoder if name == "sam" else network.decoder
    optimizer = torch.optim.Adam(learns.requires_grad_().parameters(), lr=1e-4)
    images, masks = zip(*map(picture, range(BATCH)))
    targets = torch.from_numpy(np.stack(masks)).float()
    if name == "sam":
        processor = SamProcessor(SamImageProcessor())
        boxes = [[[float(value) for value in BOX]]] * BATCH

        def work():
            given = processor(list(images), input_boxes=boxes, return_tensors="pt")
            step(network(**given, multimask_output=False).pred_masks[:, 0, 0], targets, optimizer)
    else:
        size = ViTImageProcessor(size={"height": clipseg.SIZE, "width": clipseg.SIZE}, do_resize=True)
        tokens = {"input_ids": torch.tensor([[512, 320, 513]] * BATCH), "attention_mask": torch.ones(BATCH, 3).long()}

        def work():
            given = size(list(images), return_tensors="pt")
            step(network(**given, **tokens, interpolate_pos_encoding=True).logits, targets, optimizer)

    work()
    return timed(work) * EPOCHS * PICTURES / BATCH


def made(name: str) -> Segmenter:
    if name == "sam":
        return models.load("sam").create("full", 0)
    torch.manual_seed(0)
    ends = {"pad_token_id": 513, "bos_token_id": 512, "eos_token_id": 513}
    layout = dict(text_config=ends, vision_config={"patch_size": 16}, use_complex_transposed_convolution=True)
    return clipseg.ClipSeg(CLIPSegForImageSegmentation(CLIPSegConfig(**layout)), letters(), clipseg.SIZE)


def beside(name: str, folder: Path) -> None:
    model = made(name)
    weights.write(folder / "checkpoint", model.configuration(), model.state_dict(), model.files())
    mine, theirs = ours(folder, name, EPOCHS), usual(name, model.network)
    print(f"{name}: {mine:.0f} s encoding once, {theirs:.0f} s encoding always: {theirs / mine:.1f} times faster")


LEARNS = "network.decoder.reduces.0.bias"  # the one tensor of the model that costs nothing


def free(self, features, prompts, lesson):
    """In place of Segmenter.teach: answers and losses that cost next to nothing."""
    target, weight = lesson.truth(self.frame.size)
    return torch.zeros_like(target), self.network.decoder.reduces[0].bias.sum() * target[:, 0, 0]


def one(self, parts):
    """In place of Segmenter.set_trainable: the optimizer's steps are the model's too."""
    return self.learn((LEARNS,))


def own_memory() -> float:
    """MB that are this process's own, without files that it has mapped; freed blocks stay with it, so it never falls."""
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1000


def loop(folder: Path) -> None:
    """What an epoch over 8 and 16 pictures costs, and what of it is not the model's; their features are there."""
    epoch = {}
    for count in (PICTURES, 2 * PICTURES):
        ours(folder, "clipseg", 1, count)
        epoch[count] = (ours(folder, "clipseg", 9, count) - ours(folder, "clipseg", 1, count)) / 8
    with mock.patch.object(Segmenter, "teach", free), mock.patch.object(Segmenter, "set_trainable", one):
        alone = (ours(folder, "clipseg", 9) - ours(folder, "clipseg", 1)) / 8
    few, many = epoch.values()
    held = []
    for count in (PICTURES, 8 * PICTURES):
        ours(folder, "clipseg", 1, count)
        held.append(own_memory())
    print(f"memory after {PICTURES} pictures {held[0]:.0f} MB, after {8 * PICTURES} {held[1]:.0f} MB")
    print(f"an epoch over {PICTURES} pictures {few:.2f} s, over {2 * PICTURES} {many:.2f} s: {many / few:.2f} times")
    print(f"without the model {alone:.2f} s: {100 * alone / few:.0f} % of it")


def main() -> None:
    for name in sys.argv[1:] or RUNS:
        with tempfile.TemporaryDirectory() as folder:
            beside(name, Path(folder))
            if name == "clipseg":
                loop(Path(folder))


if __name__ == "__main__":
    main()
