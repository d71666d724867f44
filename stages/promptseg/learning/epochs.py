"""Once through a split: to learn from it, or to measure on it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from promptseg.base import params
from promptseg.features.distributed import Processes
from promptseg.learning.losses import LOSSES
from promptseg.learning.measuring import Means, Sums
from promptseg.learning.splits import Split
from promptseg.learning.steps import Diverged, Steps
from promptseg.networks.segmenter import Lesson, Segmenter


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs with an optimiser of its own.

    learned: names of the parameters; losses: (split, indexes, epoch, sums) -> the losses of these pictures, (m,) each;
    order: what keeps the order of its pictures apart from that of another phase.
    """

    name: str
    epochs: int
    settings: params.Train
    learned: list[str]
    losses: Callable[[Split, list[int], int, Sums], list[torch.Tensor]]
    order: tuple[int, ...] = ()


def learn(
    segmenter: Segmenter, split: Split, phase: Phase, steps: Steps, processes: Processes, seed: int, epoch: int,
    progress: tqdm,
) -> Means:  # fmt: skip
    """Epoch 1, 2, ... of a phase. The order of the pictures, their prompts and all that is drawn at random depend on
    (seed, epoch). Raises Diverged before weights are spoilt."""
    segmenter.train()
    torch.manual_seed(int(np.random.SeedSequence((seed, epoch, *phase.order)).generate_state(1)[0]))
    order = np.random.default_rng((seed, epoch, *phase.order)).permutation(len(split)).tolist()
    sums = Sums()
    for batch in _batches(order, phase.settings.batch):
        losses = phase.losses(split, batch[processes.rank :: processes.world], epoch, sums)
        steps.add(losses, [split.pairs[i].id for i in batch])
        progress.update(len(batch))
        progress.set_postfix(loss=f"{sums.loss / max(sums.losses, 1):.3f}", iou=f"{sums.iou / max(sums.maps, 1):.3f}")
    steps.finish()
    return sums.means(processes)


@torch.no_grad()
def measure(segmenter: Segmenter, split: Split, phase: Phase, processes: Processes) -> Means:
    """The same questions each time. Raises Diverged where a loss is not finite."""
    segmenter.eval()
    sums, wrong = Sums(), []
    for batch in _batches(list(range(len(split))), phase.settings.batch):
        mine = batch[processes.rank :: processes.world]
        losses = phase.losses(split, mine, 0, sums)
        if not all(each.isfinite().all() for each in losses):
            wrong += [split.pairs[i].id for i in mine]
    wrong = sum(processes.gather(wrong), [])
    if wrong:
        raise Diverged(wrong)
    return sums.means(processes)


def answers(
    segmenter: Segmenter, settings: params.Train, split: Split, indexes: list[int], epoch: int, sums: Sums
) -> list[torch.Tensor]:
    """The losses of these pictures' maps, (m,) each. Pictures with equally many prompts go through together."""
    asked = {index: split.ask(index, epoch) for index in indexes}
    by_count: dict[int, list[int]] = {}
    for index in indexes:
        if asked[index][0]:  # a picture without its class is asked nothing when the prompts come from the truth
            by_count.setdefault(len(asked[index][0]), []).append(index)
    losses = []
    for together in by_count.values():

        @functools.cache
        def truth(side: int, together: list[int] = together) -> tuple[torch.Tensor, torch.Tensor]:
            made = [split.targets(*asked[index][1:], side) for index in together]
            return torch.cat([target for target, _ in made]), torch.cat([weight for _, weight in made])

        lesson = Lesson(LOSSES[settings.loss], truth, epoch, [split.seed(index, epoch) for index in together])
        with torch.autocast(split.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
            features = split.features(together, epoch)
            logits, each = segmenter.teach(features, [asked[index][0] for index in together], lesson)
        sums.add_losses(each)
        sums.add_maps(logits.detach(), *truth(logits.shape[-1]))
        losses.append(each)
    return losses


def _batches(order: list[int], size: int) -> list[list[int]]:
    return [order[start : start + size] for start in range(0, len(order), size)]
