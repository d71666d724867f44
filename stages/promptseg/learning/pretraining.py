"""What comes before the masks: a model learns a task of its own, such as giving the picture back.

The study's autoencoder is trained so (reconstruction first, then segmentation). No masks and no prompts take part.
"""

import sys

import numpy as np
import torch
from tqdm import tqdm

from promptseg.base import params
from promptseg.features.distributed import Processes
from promptseg.learning.steps import step
from promptseg.networks.segmenter import Segmenter


def pretrain(
    segmenter: Segmenter, splits: list, settings: params.Train, processes: Processes, seed: int, epochs: int
) -> tuple[list[tuple], list[str]]:
    """Train what PRETRAIN names on `pretext`: the curve's rows, phase "pretrain", and the names of what learned.

    splits: two of training.Split, to learn from and to measure on. The last epoch is the one to go on from.
    """
    learned = segmenter.learn(segmenter.PRETRAIN)
    parameters = [parameter for parameter in segmenter.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=settings.lr, weight_decay=settings.weight_decay)
    quiet = not (processes.main and sys.stderr.isatty())
    rows = []
    for epoch in tqdm(range(1, epochs + 1), "pretrain", disable=quiet, leave=False):
        order = np.random.default_rng((seed, epoch, 1)).permutation(len(splits[0]))  # 1: another order than training's
        loss = _epoch(segmenter, splits[0], order, settings.batch, processes, optimiser, parameters)
        val_loss = _epoch(segmenter, splits[1], np.arange(len(splits[1])), settings.batch, processes)
        rows.append((epoch, "pretrain", loss, val_loss, None, settings.lr, None, None))
    return rows, learned


def _epoch(
    segmenter: Segmenter, split, order: np.ndarray, batch: int, processes: Processes,
    optimiser: torch.optim.Optimizer | None = None, parameters: list[torch.nn.Parameter] = (),
) -> float | None:  # fmt: skip
    """Once through a split in this order, learning where an optimiser is given; the mean loss, None if it is empty."""
    segmenter.train(optimiser is not None)
    total = 0.0
    for start in range(0, len(order), batch):
        mine = order[start : start + batch].tolist()[processes.rank :: processes.world]
        with torch.set_grad_enabled(optimiser is not None):
            losses = [segmenter.pretext(split.features(mine))] if mine else []
            total += sum(each.detach().sum().item() for each in losses)
            if optimiser is not None:
                step(losses, optimiser, parameters, processes, [split.pairs[i].id for i in mine])
    summed = torch.tensor([total], dtype=torch.float64, device=processes.device)
    processes.sum([summed])
    return summed.item() / len(order) if len(order) else None
