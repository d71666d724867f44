"""One pass over a split: to train on it, or to validate on it."""

import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from tqdm import tqdm

from promptseg.core.thread_pool import ThreadPool
from promptseg.core.train_config import CompleteTrain
from promptseg.data.records import Prediction
from promptseg.nn.segmenter import LossContext, Segmenter
from promptseg.training import losses
from promptseg.training.optimizer_steps import NonFiniteLossError, OptimizerSteps
from promptseg.training.running_metrics import EpochMetrics, MetricSums
from promptseg.training.training_run import TRAIN, Phase, TrainingRun
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
    batches = _batches(order, phase.config.batch_size)
    shares = [batch[run.processes.rank :: run.processes.world] for batch in batches]
    for batch, items in zip(batches, _items(run.train_split, shares, epoch, run.processes.cores), strict=True):
        batch_losses = phase.compute_losses(run.train_split, items, epoch, sums)
        steps.add(batch_losses, [run.train_split.id(i) for i in batch])
        bar.update(len(batch))
        bar.set_postfix(sums.describe())
    steps.finish()
    return sums.mean(run.processes)


@torch.no_grad()
def validate(run: TrainingRun, phase: Phase) -> EpochMetrics:
    """Validate on all images of the validation split, with the same prompts each time.

    Losses are those of the training prompts. The IoU is the headline metric of a run that predicts this split with the
    prompts of the test, and the threshold the one at which that is best; they are None where that is not defined: in a
    pretext task, or without any ground truth.

    Raises:
        NonFiniteLossError: a loss is not finite.
    """
    run.segmenter.eval()
    split, sums = run.val_split, MetricSums()
    non_finite: list[str] = []
    validation = run.validation if phase.name == TRAIN else None
    indexes = validation.split.indexes if validation else range(run.processes.rank, len(split), run.processes.world)
    size = math.ceil(phase.config.batch_size / run.processes.world)

    def predictions() -> Iterator[Prediction]:
        for items in _items(split, _batches(indexes, size), 0, run.processes.cores):
            with split.holding_features():  # encoded once, for the loss and for the prediction
                batch_losses = phase.compute_losses(split, items, 0, sums)
                if not all(values.isfinite().all() for values in batch_losses):
                    non_finite.extend(split.id(item.index) for item in items)
                if validation is not None:
                    for item in items:
                        features = functools.partial(split.features, [item])
                        yield validation.predict(run.segmenter, features, item.index)

    if validation is None:
        for _ in predictions():
            pass
        metrics = sums.mean(run.processes)
    else:
        with np.errstate(invalid="ignore"):  # logits that are not finite; their losses end the run below
            scores = validation.split.score(predictions())
        metrics = sums.mean(run.processes)._replace(iou=None)
        if scores is not None:
            metrics = metrics._replace(iou=scores.headline(), threshold=validation.threshold(scores))
    all_non_finite = sum(run.processes.gather(non_finite), [])
    if all_non_finite:
        raise NonFiniteLossError(all_non_finite)
    return metrics


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


def _batches(indexes: Sequence[int], size: int) -> list[Sequence[int]]:
    return [indexes[start : start + size] for start in range(0, len(indexes), size)]


def _items(
    split: TrainingSplit, batches: list[Sequence[int]], epoch: int, threads: int
) -> Iterator[list[TrainingItem]]:
    """The items of each batch; threads prepare them ahead of the model."""
    with ThreadPool(threads) as pool:
        items = pool.map_ordered(lambda index: split.take(index, epoch), (i for batch in batches for i in batch))
        for batch in batches:
            yield [next(items) for _ in batch]
