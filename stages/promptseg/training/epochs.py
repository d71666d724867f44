"""Once through a split: to learn from it, or to measure on it."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.core.thread_pool import Pool
from promptseg.nn.segmenter import LossContext, Segmenter
from promptseg.training.losses import LOSSES
from promptseg.training.optimizer_steps import NonFiniteLossError, Steps
from promptseg.training.running_metrics import Means, Sums
from promptseg.training.training_split import Asked, Split


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs with an optimizer of its own.

    learned: names of the parameters; losses: (split, asked, epoch, sums) -> the losses of these pictures, (m,) each;
    order: what keeps the order of its pictures apart from that of another phase.
    """

    name: str
    epochs: int
    settings: params.Train
    learned: list[str]
    losses: Callable[[Split, list[Asked], int, Sums], list[torch.Tensor]]
    order: tuple[int, ...] = ()


def learn(
    segmenter: Segmenter, split: Split, phase: Phase, steps: Steps, processes: Processes, seed: int, epoch: int,
    progress: tqdm,
) -> Means:  # fmt: skip
    """Epoch 1, 2, ... of a phase; progress counts its pictures. The order of the pictures, their prompts and all that is drawn at random depend on
    (seed, epoch). Raises NonFiniteLossError before weights are spoilt."""
    segmenter.train()
    torch.manual_seed(int(np.random.SeedSequence((seed, epoch, *phase.order)).generate_state(1)[0]))
    order = np.random.default_rng((seed, epoch, *phase.order)).permutation(len(split)).tolist()
    sums = Sums()
    for batch, asked in _asked(split, order, phase.settings.batch, epoch, processes):
        losses = phase.losses(split, asked, epoch, sums)
        steps.add(losses, [split.pairs[i].id for i in batch])
        progress.update(len(batch))
        progress.set_postfix(loss=f"{sums.loss / max(sums.losses, 1):.3f}", iou=f"{sums.iou / max(sums.maps, 1):.3f}")
    steps.finish()
    return sums.means(processes)


@torch.no_grad()
def measure(segmenter: Segmenter, split: Split, phase: Phase, processes: Processes) -> Means:
    """The same questions each time. Raises NonFiniteLossError where a loss is not finite."""
    segmenter.eval()
    sums, wrong = Sums(), []
    for _, asked in _asked(split, list(range(len(split))), phase.settings.batch, 0, processes):
        losses = phase.losses(split, asked, 0, sums)
        if not all(each.isfinite().all() for each in losses):
            wrong += [split.pairs[one.index].id for one in asked]
    wrong = sum(processes.gather(wrong), [])
    if wrong:
        raise NonFiniteLossError(wrong)
    return sums.means(processes)


def answers(
    segmenter: Segmenter, settings: params.Train, split: Split, asked: list[Asked], epoch: int, sums: Sums
) -> list[torch.Tensor]:
    """The losses of these pictures' maps, (m,) each. Pictures with equally many prompts go through together."""
    by_count: dict[int, list[Asked]] = {}
    for one in asked:
        if one.prompts:  # a picture without its class is asked nothing when the prompts come from the truth
            by_count.setdefault(len(one.prompts), []).append(one)
    losses = []
    for together in by_count.values():
        truth = functools.cache(functools.partial(split.truth, together))
        lesson = LossContext(LOSSES[settings.loss], truth, epoch, [one.seed for one in together])
        with torch.autocast(split.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
            features = split.features(together)
            logits, each = segmenter.teach(features, [one.prompts for one in together], lesson)
        sums.add_losses(each)
        sums.add_maps(logits.detach(), *truth(logits.shape[-1]))
        losses.append(each)
    return losses


def _asked(
    split: Split, order: list[int], size: int, epoch: int, processes: Processes
) -> Iterator[tuple[list[int], list[Asked]]]:
    """Batches of indexes, and what of each is this process's, made ready by threads while the model is busy."""
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    mine = [batch[processes.rank :: processes.world] for batch in batches]
    with Pool(processes.cores) as pool:
        taken = pool.in_order(lambda index: split.take(index, epoch), (index for share in mine for index in share))
        for batch, share in zip(batches, mine):
            yield batch, [next(taken) for _ in share]
