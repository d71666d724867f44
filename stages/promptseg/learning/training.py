"""Fine-tune any model: one loop, on one process or many.

A step's gradient is the mean over its maps, summed over the processes that share the batch, so the curve does not
depend on how many there are (up to the order of floating-point sums). Frozen features come out of the embedding cache.
"""

import csv
import io
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from promptseg import container, models
from promptseg.base import files, params
from promptseg.base.errors import Problem
from promptseg.container import Container
from promptseg.features import embeddings, finetuned
from promptseg.features.distributed import Processes
from promptseg.learning import pretraining
from promptseg.learning.losses import LOSSES
from promptseg.learning.steps import step
from promptseg.networks import prompts, weights
from promptseg.networks.segmenter import Segmenter

COLUMNS = ("epoch", "phase", "loss", "val_loss", "val_iou", "lr", "foreground", "val_foreground")


@dataclass
class Sums:
    """What is added up over an epoch's maps: loss, IoU, predicted and true foreground, each with its count."""

    loss: float = 0.0
    iou: float = 0.0
    foreground: float = 0.0
    maps: float = 0.0

    def add(self, loss: torch.Tensor, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> None:
        """loss: (m,); the rest (m, h, w)."""
        counted = weight > 0
        predicted, true = (logits > 0) & counted, (target >= 0.5) & counted
        union = (predicted | true).sum((1, 2))
        overlap = (predicted & true).sum((1, 2))
        self.loss += loss.sum().item()
        self.iou += torch.where(union > 0, overlap / union.clamp(min=1), 1.0).sum().item()
        self.foreground += (predicted.sum((1, 2)) / counted.sum((1, 2)).clamp(min=1)).sum().item()
        self.maps += len(loss)

    def means(self, processes: Processes) -> tuple[float, float, float]:
        """Loss, IoU and predicted foreground share, each the mean over the maps of all processes."""
        # Doubles: the sums must not depend on how they were split among the processes.
        total = torch.tensor([self.loss, self.iou, self.foreground, self.maps], dtype=torch.float64)
        total = total.to(processes.device)
        processes.sum([total])
        loss, iou, foreground, maps = total.tolist()
        return loss / max(maps, 1), iou / max(maps, 1), foreground / max(maps, 1)


class Split:
    """One split of a dataset, ready for the loop: features, prompts and targets by index."""

    def __init__(self, path: Path, segmenter: Segmenter, checkpoint: str, cache: Path, train: params.Train, seed: int,
                 processes: Processes):  # fmt: skip
        self.pairs: Container = container.pairs(path)
        self.classes = self.pairs.about["classes"]
        self.features = embeddings.features(segmenter, checkpoint, path, self.pairs, cache, processes)
        self._frame, self._settings, self._seed, self._device = segmenter.frame, train.prompt, seed, processes.device

    def __len__(self) -> int:
        return len(self.pairs)

    def ask(self, index: int, salt: str) -> tuple[list, list, np.ndarray]:
        """Prompts in the frame's pixels, the maps that would answer them, and which pixels count."""
        pair = self.pairs[index]
        mask = container.mask(pair)
        support = container.support(pair) if self._settings.support else None
        asked, answers = prompts.ask(self._settings, mask, self.classes, self._seed, pair.id + salt, pair.text, support)
        return [self._frame.prompt(p, pair.height, pair.width) for p in asked], answers, mask != 255

    def targets(self, answers: list[np.ndarray], counted: np.ndarray, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(p, side, side) targets in [0, 1] and (p, side, side) weights over the frame."""
        target = np.stack([self._frame.from_picture(answer, side) for answer in answers])
        weight = self._frame.from_picture(counted, side) >= 0.5
        return (
            torch.from_numpy(target).to(self._device),
            torch.from_numpy(np.broadcast_to(weight, target.shape).astype(np.float32)).to(self._device),
        )


def finetune(
    run: params.FineTune, max_epochs: int | None, seed: int, train: Path, val: Path, checkpoint: Path, cache: Path,
    out: Path, curve: Path,
) -> None:  # fmt: skip
    """Train a run; write what it learned, from the epoch with the best IoU on `val`, and its curve (CSV).

    train, val: containers; checkpoint: folder of released weights; cache: folder of the embedding caches.
    Raises Problem for a prompt or a part that the model does not have, an empty training split, or a loss that is
    not finite.
    """
    processes = Processes()
    torch.manual_seed(seed)
    settings = run.train
    segmenter = models.load(run.model).load(checkpoint, len(container.pairs(train).about["classes"]))
    segmenter.to(processes.device)
    segmenter.check_training(settings)
    segmenter.check_prompt(run.prompt)
    segmenter.trained()
    digest = weights.digest(checkpoint)
    splits = [Split(path, segmenter, digest, cache, settings, seed, processes) for path in (train, val)]
    if len(splits[0]) == 0:
        raise Problem(f"{train}: no pictures to train on; lower datasets.{run.dataset}.min_foreground")
    before = min(settings.pretrain, max_epochs or settings.pretrain)
    rows, learned = pretraining.pretrain(segmenter, splits, settings, processes, seed, before) if before else ([], [])
    learned = list({*learned, *segmenter.train_only(settings.parts)})
    parameters = [parameter for parameter in segmenter.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=settings.lr, weight_decay=settings.weight_decay)
    epochs = min(settings.epochs, max_epochs or settings.epochs)
    best = -math.inf
    progress = tqdm(range(1, epochs + 1), "train", disable=not (processes.main and sys.stderr.isatty()), leave=False)
    for epoch in progress:
        loss, _, foreground = _epoch(segmenter, splits[0], settings, processes, seed, epoch, optimiser, parameters)
        val = _epoch(segmenter, splits[1], settings, processes, seed, 0)
        val_loss, val_iou, val_foreground = val or (None, None, None)
        # Without a validation split the last epoch is the one to keep.
        if val is None or val_iou > best:
            best, kept = val_iou, {name: value.detach().clone() for name, value in segmenter.state_dict().items()}
        rows.append((before + epoch, "train", loss, val_loss, val_iou, settings.lr, foreground, val_foreground))
        progress.set_postfix(loss=f"{loss:.3f}", val_iou="none" if val is None else f"{val_iou:.3f}")
    if processes.main:
        segmenter.load_state_dict(kept)
        about = {"classes": list(splits[0].classes), "train": settings.model_dump(exclude_defaults=True)}
        finetuned.write(out, segmenter, learned, digest, about)
        files.write_text(curve, _csv(rows))
    processes.wait()
    processes.close()


def _epoch(
    segmenter: Segmenter, split: Split, settings: params.Train, processes: Processes, seed: int, epoch: int,
    optimiser: torch.optim.Optimizer | None = None, parameters: list[torch.nn.Parameter] = (),
) -> tuple[float, float, float] | None:  # fmt: skip
    """Once through a split, learning where an optimiser is given; mean loss, IoU and foreground share, None if empty.

    The order of the pictures and their training prompts depend on (seed, epoch); validation always asks the same.
    """
    segmenter.train(optimiser is not None)
    order = np.arange(len(split))
    if optimiser is not None:
        np.random.default_rng((seed, epoch)).shuffle(order)
    sums = Sums()
    for start in range(0, len(order), settings.batch):
        batch = [int(i) for i in order[start : start + settings.batch]]
        mine = batch[processes.rank :: processes.world]
        with torch.set_grad_enabled(optimiser is not None):
            loss = _batch(segmenter, split, mine, LOSSES[settings.loss], sums, f"/epoch{epoch}")
            if optimiser is not None:
                step(loss, optimiser, parameters, processes, [split.pairs[i].id for i in mine])
    return sums.means(processes) if len(split) else None


def _batch(segmenter: Segmenter, split: Split, indexes: list[int], loss, sums: Sums, salt: str) -> list[torch.Tensor]:
    """The losses of these pictures' maps, (m,) each. Pictures with equally many prompts go through together."""
    asked = {index: split.ask(index, salt) for index in indexes}
    by_count: dict[int, list[int]] = {}
    for index in indexes:
        if asked[index][0]:  # a picture without its class is asked nothing when the prompts come from the truth
            by_count.setdefault(len(asked[index][0]), []).append(index)
    losses = []
    for together in by_count.values():
        logits = segmenter.decode(split.features(together), [asked[i][0] for i in together]).flatten(0, 1)
        made = [split.targets(asked[i][1], asked[i][2], logits.shape[-1]) for i in together]
        target, weight = torch.cat([t for t, _ in made]), torch.cat([w for _, w in made])
        each = loss(logits, target, weight)
        sums.add(each.detach(), logits.detach(), target, weight)
        losses.append(each)
    return losses


def _csv(rows: list[tuple]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for epoch, phase, *values in rows:
        writer.writerow([epoch, phase, *("" if value is None else f"{value:.6g}" for value in values)])
    return out.getvalue()
