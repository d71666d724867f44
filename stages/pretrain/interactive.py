"""SAM as it is trained (Kirillov et al. 2023, section 3 and appendix A): asked, answered, and corrected where wrong.

A first prompt is a box or one point. A point is ambiguous, so it is answered by three masks, of which only the best is
taught; everything else by one. Then points are put where the answer was wrong, and the answer's own logits go in with
them; a last round has no new point. The masks' loss is focal and Dice at 20 to 1, and the head for the IoU learns the
masks' IoU by its squared error.

A network that begins with nothing does not see what a box means for hundreds of steps, and longer by the focal loss,
which makes little of the many pixels that are half right. So the first, easy epochs have cross-entropy and Dice.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from promptseg.models.sam import Sam
from promptseg.nn.segmenter import Features, LossContext
from promptseg.prompts import Prompt
from promptseg.training.losses import dice, dice_bce, focal

FOCAL = 20.0
NONE = -1  # corrections, where not even the last round without a new point follows
LOGITS = 32.0  # logits beyond this say no more; SAM clamps them before they go in as a prompt


class InteractiveSam(Sam):
    """`corrections`: points after the first prompt; `corrected`: the share of the pictures that get any; `easy`: so
    many epochs have cross-entropy in place of the focal loss."""

    corrections, corrected, easy = 0, 0.0, 0

    def teach(
        self, features: Features, prompts: list[list[Prompt]], lesson: LossContext
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The first answers (m, side, side) and the mean loss of the rounds, (m,).

        The first half of a picture's prompts are boxes, the others points. SAM's losses take the place of the lesson's.
        """
        n, p = len(prompts), len(prompts[0])
        target, weight = lesson.truth(self.side)
        places = torch.arange(n * p, device=self.device).reshape(n, p)
        logits, losses = torch.empty_like(target), torch.empty(n * p, device=self.device)
        loss = dice_bce if lesson.epoch <= self.easy else _focal_and_dice  # measured by the former
        for rows, corrections in self._lengths(lesson):
            draw = torch.Generator().manual_seed(lesson.seeds[rows[0]])
            for half in (slice(0, p // 2), slice(p // 2, p)):
                which = places[rows, half].flatten()
                asked = [[prompt] for row in rows for prompt in prompts[row][half]]
                repeated = {name: value[rows].repeat_interleave(p // 2, dim=0) for name, value in features.items()}
                first, each = self._rounds(repeated, asked, target[which], weight[which], corrections, draw, loss)
                logits = logits.index_copy(0, which, first)
                losses = losses.index_copy(0, which, each)
        return logits, losses

    def _lengths(self, lesson: LossContext) -> list[tuple[list[int], int]]:
        """Pictures by their places, and how many corrections they get: NONE where the first answer is all."""
        lots = [torch.rand(1, generator=torch.Generator().manual_seed(seed)).item() for seed in lesson.seeds]
        chosen = [i for i, lot in enumerate(lots) if lesson.epoch and lot < self.corrected]
        others = [i for i in range(len(lots)) if i not in chosen]
        return [(rows, count) for rows, count in ((others, NONE), (chosen, self.corrections)) if rows]

    def _rounds(
        self, features: Features, rows: list[list[Prompt]], target: torch.Tensor, weight: torch.Tensor,
        corrections: int, draw: torch.Generator, loss: Callable,
    ) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
        """First answers and mean losses for m maps, each with a row of features and one prompt of its own."""
        points, labels, boxes = (self._stack(rows, name) for name in ("points", "labels", "box"))
        first, losses, before = None, [], None
        for number in range(corrections + 2):
            out = self.network(
                image_embeddings=self.image_embeddings(features), input_points=points, input_labels=labels,
                input_boxes=boxes, input_masks=before, multimask_output=boxes is None and number == 0,
            )  # fmt: skip
            masks, guessed = out.pred_masks[:, 0].float(), out.iou_scores[:, 0].float()  # (m, k, side, side), (m, k)
            each = torch.stack([loss(masks[:, k], target, weight) for k in range(masks.shape[1])], dim=1)
            truth = torch.stack([_iou(masks[:, k], target, weight) for k in range(masks.shape[1])], dim=1)
            losses.append(each.min(dim=1).values + F.mse_loss(guessed, truth, reduction="none").mean(dim=1))
            chosen = guessed.argmax(dim=1)[:, None, None, None]
            answer = masks.take_along_dim(chosen, dim=1).detach()[:, 0]
            first = answer if first is None else first
            before = answer[:, None].clamp(-LOGITS, LOGITS)
            if number < corrections:
                points, labels = self._corrected(points, labels, answer, target, weight, draw)
        return first, torch.stack(losses).mean(dim=0)

    def _corrected(self, points, labels, answer, target, weight, draw):
        """One point more for each map, anywhere that the answer is wrong; on the object itself where it is nowhere."""
        true = (target >= 0.5) & (weight > 0)
        wrong = ((answer > 0) != (target >= 0.5)) & (weight > 0)
        most = target == target.amax((1, 2), keepdim=True)  # of what is too thin to fill half a pixel
        chance = torch.where(wrong.any(dim=2).any(dim=1)[:, None, None], wrong, true | most).flatten(1).float().cpu()
        place = torch.multinomial(chance, 1, generator=draw).to(self.device)  # (m, 1)
        scale = self.frame.size / self.side
        at = torch.stack([place % self.side, place // self.side], dim=-1).float()  # (m, 1, 2)
        added = ((at + 0.5) * scale)[:, None]
        label = true.flatten(1).gather(1, place).long()[:, None]
        if points is None:
            return added, label
        return torch.cat([points, added], dim=2), torch.cat([labels, label], dim=2)


def _focal_and_dice(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return FOCAL * focal(logits, target, weight) + dice(logits, target, weight)


@torch.no_grad()
def _iou(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    marked, true = (logits > 0) & (weight > 0), (target >= 0.5) & (weight > 0)
    return (marked & true).sum((1, 2)) / (marked | true).sum((1, 2)).clamp(min=1)
