"""SAM with its interactive training: prompt, predict, and correct (Kirillov et al. 2023, section 3 and appendix A).

The first prompt is a box or a single point. A point is ambiguous, so the decoder predicts three masks for it, and only
the mask with the lowest loss is trained; all other prompts get one mask. In the rounds after that a point in the error
region is added, and the logits of the previous mask are given as a mask prompt; the last round has no new point. The
mask loss is focal and Dice loss at 20 : 1, and the IoU head is trained with the squared error of the predicted IoU.

A randomly initialized network ignores boxes for hundreds of steps, and for longer with the focal loss, which
down-weights the many pixels that are half right. So the epochs of the curriculum have cross-entropy and Dice.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from promptseg.models.sam import Sam
from promptseg.nn.segmenter import Features, Loss, LossContext
from promptseg.prompts import Prompt
from promptseg.training.losses import dice, dice_bce, focal

FOCAL_WEIGHT = 20.0
NO_CORRECTIONS = -1  # number of corrections where there is no last round without a new point either
MAX_LOGIT = 32.0  # of a mask prompt, as in SAM


@dataclass(frozen=True)
class Rounds:
    """Number of corrections, and the generator and loss that they use."""

    corrections: int
    generator: torch.Generator
    loss: Loss


class InteractiveSam(Sam):
    """SAM with its interactive training.

    Attributes:
        corrections: number of points after the first prompt.
        corrected_share: of the images that get corrections.
        curriculum_epochs: number of epochs with cross-entropy instead of the focal loss.
    """

    corrections, corrected_share, curriculum_epochs = 0, 0.0, 0

    def compute_loss(
        self, features: Features, prompts: list[list[Prompt]], context: LossContext
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict and score a batch; the loss is SAM's own and not that of the context.

        Args:
            features: of n images.
            prompts: for each image p prompts, boxes in the first half and single points in the second.
            context: targets, epoch and seeds.

        Returns:
            Logits of the first round (m, side, side) and mean losses of all rounds (m,).
        """
        n, p = len(prompts), len(prompts[0])
        target, weight = context.targets(self.side)
        numbers = torch.arange(n * p, device=self.device).reshape(n, p)
        logits, losses = torch.empty_like(target), torch.empty(n * p, device=self.device)
        # Validation, epoch 0, has cross-entropy as well.
        loss = dice_bce if context.epoch <= self.curriculum_epochs else _focal_dice
        for rows, corrections in self._images_by_corrections(context):
            rounds = Rounds(corrections, torch.Generator().manual_seed(context.seeds[rows[0]]), loss)
            for half in (slice(0, p // 2), slice(p // 2, p)):
                indices = numbers[rows, half].flatten()
                single = [[prompt] for row in rows for prompt in prompts[row][half]]
                repeated = {name: value[rows].repeat_interleave(p // 2, dim=0) for name, value in features.items()}
                first, mean = self._run_rounds(repeated, single, (target[indices], weight[indices]), rounds)
                logits = logits.index_copy(0, indices, first)
                losses = losses.index_copy(0, indices, mean)
        return logits, losses

    def _images_by_corrections(self, context: LossContext) -> list[tuple[list[int], int]]:
        """Indices of images, and the number of their corrections."""
        draws = [torch.rand(1, generator=torch.Generator().manual_seed(seed)).item() for seed in context.seeds]
        corrected = [i for i, draw in enumerate(draws) if context.epoch and draw < self.corrected_share]
        uncorrected = [i for i in range(len(draws)) if i not in corrected]
        groups = (uncorrected, NO_CORRECTIONS), (corrected, self.corrections)
        return [(rows, corrections) for rows, corrections in groups if rows]

    def _run_rounds(
        self,
        features: Features,
        prompts: list[list[Prompt]],
        targets: tuple[torch.Tensor, torch.Tensor],
        rounds: Rounds,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """First logits and mean losses of m masks, each with one row of features and one prompt."""
        points, boxes = self._stack(prompts, "points", "coordinates"), self._stack(prompts, "box", "corners")
        labels = self._stack(prompts, "points", "labels", torch.long)
        first, losses, mask_input = None, [], None
        for number in range(rounds.corrections + 2):
            out = self.network(
                image_embeddings=self.image_embeddings(features),
                input_points=points,
                input_labels=labels,
                input_boxes=boxes,
                input_masks=mask_input,
                multimask_output=boxes is None and number == 0,
            )
            masks, predicted_iou = (
                out.pred_masks[:, 0].float(),
                out.iou_scores[:, 0].float(),
            )  # (m, k, side, side), (m, k)
            mask_loss, iou = (
                torch.stack([function(masks[:, k], *targets) for k in range(masks.shape[1])], dim=1)
                for function in (rounds.loss, _iou)
            )
            iou_loss = F.mse_loss(predicted_iou, iou, reduction="none").mean(dim=1)
            losses.append(mask_loss.min(dim=1).values + iou_loss)
            best = predicted_iou.argmax(dim=1)[:, None, None, None]
            logits = masks.take_along_dim(best, dim=1).detach()[:, 0]
            first = logits if first is None else first
            mask_input = logits[:, None].clamp(-MAX_LOGIT, MAX_LOGIT)
            if number < rounds.corrections:
                added, label = self._sample_correction(logits, *targets, rounds.generator)
                points = added if points is None else torch.cat([points, added], dim=2)
                labels = label if labels is None else torch.cat([labels, label], dim=2)
        return first, torch.stack(losses).mean(dim=0)

    def _sample_correction(
        self, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A point (m, 1, 1, 2) and its label (m, 1, 1) in the error region; on the object where there is no error."""
        positive = (target >= 0.5) & (weight > 0)
        wrong = ((logits > 0) != (target >= 0.5)) & (weight > 0)
        # Objects that are too thin to cover half of a pixel have their best covered pixels.
        inside = positive | (target == target.amax((1, 2), keepdim=True))
        chance = torch.where(wrong.any(dim=2).any(dim=1)[:, None, None], wrong, inside).flatten(1).float().cpu()
        pixel = torch.multinomial(chance, 1, generator=generator).to(self.device)  # (m, 1)
        scale = self.transform.size / self.side
        corner = torch.stack([pixel % self.side, pixel // self.side], dim=-1).float()  # (m, 1, 2)
        return ((corner + 0.5) * scale)[:, None], positive.flatten(1).gather(1, pixel).long()[:, None]


def _focal_dice(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return FOCAL_WEIGHT * focal(logits, target, weight) + dice(logits, target, weight)


@torch.no_grad()
def _iou(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """IoU (m,) of logits and targets (m, h, w)."""
    predicted, positive = (logits > 0) & (weight > 0), (target >= 0.5) & (weight > 0)
    return (predicted & positive).sum((1, 2)) / (predicted | positive).sum((1, 2)).clamp(min=1)
