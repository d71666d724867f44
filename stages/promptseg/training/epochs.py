"""One pass over a split: to train on it, or to validate on it."""

import functools
from collections.abc import Iterator

import numpy as np
import torch
from tqdm import tqdm

from promptseg.core.devices import Processes
from promptseg.core.thread_pool import ThreadPool
from promptseg.core.train_config import CompleteTrain
from promptseg.nn.segmenter import LossContext, Segmenter
from promptseg.training import losses
from promptseg.training.optimizer_steps import NonFiniteLossError, OptimizerSteps
from promptseg.training.running_metrics import EpochMetrics, MetricSums
from promptseg.training.training_run import Phase, TrainingRun
from promptseg.training.training_split import TrainingItem, TrainingSplit


def train_epoch(run: TrainingRun, phase: Phase, steps: OptimizerSteps, epoch: int, bar: tqdm) -> EpochMetrics:
    """Train on all images of the training split once.

    The order of the images, their prompts and all random numbers depend on (seed, epoch).

    Args:
        run: model and split.
        phase: settings and losses.
        steps: of the phase.
        epoch: 1, 2, ... within the phase.
        bar: counts images.

    Returns:
        Means over the epoch, of the weights as they were at each batch.

    Raises:
        NonFiniteLossError: a loss is not finite; no weight has changed by it.
    """
    run.segmenter.train()
    key = (run.seed, epoch, *phase.order_key)
    torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
    order = np.random.default_rng(key).permutation(len(run.train_split)).tolist()
    sums = MetricSums()
    for batch, items in _batches(run.train_split, order, phase.config.batch_size, epoch, run.processes):
        batch_losses = phase.compute_losses(run.train_split, items, epoch, sums)
        steps.add(batch_losses, [run.train_split.id(i) for i in batch])
        bar.update(len(batch))
        bar.set_postfix(sums.describe())
    steps.finish()
    return sums.mean(run.processes)


@torch.no_grad()
def validate(run: TrainingRun, phase: Phase) -> EpochMetrics:
    """Validate on all images of the validation split, with the same prompts each time.

    Raises:
        NonFiniteLossError: a loss is not finite.
    """
    run.segmenter.eval()
    split, sums, non_finite = run.val_split, MetricSums(), []
    for _, items in _batches(split, list(range(len(split))), phase.config.batch_size, 0, run.processes):
        batch_losses = phase.compute_losses(split, items, 0, sums)
        if not all(values.isfinite().all() for values in batch_losses):
            non_finite += [split.id(item.index) for item in items]
    non_finite = sum(run.processes.gather(non_finite), [])
    if non_finite:
        raise NonFiniteLossError(non_finite)
    return sums.mean(run.processes)


def mask_losses(
    segmenter: Segmenter, config: CompleteTrain, split: TrainingSplit, items: list[TrainingItem], epoch: int,
    sums: MetricSums,
) -> list[torch.Tensor]:  # fmt: skip
    """Compute the losses of the masks of these items; images with equally many prompts go through together.

    Args:
        segmenter: the model.
        config: loss and precision.
        split: of the items.
        items: images that have no prompt are left out, as oracle prompts leave out images without the class.
        epoch: 1, 2, ..., or 0 to validate.
        sums: to which losses and masks are added.

    Returns:
        Losses (m,) for each group of items.
    """
    by_count: dict[int, list[TrainingItem]] = {}
    for item in items:
        if item.prompts:
            by_count.setdefault(len(item.prompts), []).append(item)
    result = []
    for group in by_count.values():
        targets = functools.cache(functools.partial(split.targets, group))
        context = LossContext(losses.get(config.loss), targets, epoch, [item.seed for item in group])
        with torch.autocast(segmenter.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            features = split.features(group)
            logits, values = segmenter.compute_loss(features, [item.prompts for item in group], context)
        sums.add_losses(values)
        sums.add_masks(logits.detach(), *targets(logits.shape[-1]))
        result.append(values)
    return result


def pretext_losses(
    segmenter: Segmenter, split: TrainingSplit, items: list[TrainingItem], epoch: int, sums: MetricSums
) -> list[torch.Tensor]:
    """Compute the losses of a pretext task, such as reconstruction, which takes neither prompts nor masks.

    The study's autoencoder is trained so first. Arguments and result are those of `mask_losses`.
    """
    if not items:
        return []
    values = segmenter.pretext_loss(split.features(items))
    sums.add_losses(values)
    return [values]


def _batches(
    split: TrainingSplit, order: list[int], size: int, epoch: int, processes: Processes
) -> Iterator[tuple[list[int], list[TrainingItem]]]:
    """Indexes of each global batch, and this process's items of it; threads prepare them ahead of the model."""
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    shares = [batch[processes.rank :: processes.world] for batch in batches]
    with ThreadPool(processes.cores) as pool:
        items = pool.map_ordered(lambda index: split.take(index, epoch), (i for share in shares for i in share))
        for batch, share in zip(batches, shares, strict=True):
            yield batch, [next(items) for _ in share]
