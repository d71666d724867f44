"""SAM and its relatives, which are trained with point and box prompts on images rendered during training.

SAM's training is interactive: prompt, predict, and correct (Kirillov et al. 2023, section 3 and appendix A). The first
prompt is a box or a single point. A point is ambiguous, so the decoder predicts three masks for it, and only the mask
with the lowest loss is trained; all other prompts get one mask. In the rounds after that a point in the error region is
added, and the logits of the previous mask are given as a mask prompt; the last round has no new point. The mask loss is
focal and Dice loss at 20 : 1, and the IoU head is trained with the squared error of the predicted IoU.

A randomly initialized network ignores boxes for hundreds of steps, and for longer with the focal loss, which
down-weights the many pixels that are half right. So the epochs of the curriculum have cross-entropy and Dice.
"""

from pathlib import Path

import initial_weights
import torch
import torch.nn.functional as F
from pretraining import Setup
from prompted_images import PromptedSplit
from promptseg.models.medsam import MedSam
from promptseg.models.pa_sam import PaSam
from promptseg.models.sam import Sam
from promptseg.nn.prompt_adapter import AdaptedSam
from promptseg.nn.sam_segmenter import SamSegmenter
from promptseg.nn.segmenter import Features, Loss, LossContext, Segmenter
from promptseg.prompts import Prompt
from promptseg.training.losses import dice, dice_bce, focal
from settings import SamTraining
from transformers import SamConfig, SamModel
from world import rendering

INITIAL_IMAGES = 64  # that the initial weights are fitted to
# 16 x 16 patches of 8 pixels, for which tokens are wide enough; masks are 64 x 64.
NETWORK = {
    "vision_config": Sam.TINY["vision_config"] | dict(
        hidden_size=128, output_channels=96, num_hidden_layers=6, image_size=128, global_attn_indexes=[2, 5],
        num_pos_feats=48, scale=1.0,  # SAM's scale of positional frequencies; transformers' is half the hidden size
    ),
    "prompt_encoder_config": dict(hidden_size=96, image_size=128, patch_size=8),
    "mask_decoder_config": dict(hidden_size=96, mlp_dim=192, num_attention_heads=4, iou_head_hidden_dim=96),
}  # fmt: skip
FOCAL_WEIGHT = 20.0
NO_CORRECTIONS = -1  # number of corrections where there is no last round without a new point either
MAX_LOGIT = 32.0  # of a mask prompt, as in SAM

Targets = tuple[torch.Tensor, torch.Tensor]  # targets and weights, (m, side, side) each


class InteractiveSegmenter(SamSegmenter):
    """SAM's interactive training, for SAM and SAM 2.

    Attributes:
        corrections: number of points after the first prompt.
        corrected_share: of the images that get corrections.
        curriculum_epochs: number of epochs with cross-entropy instead of the focal loss.
    """

    corrections, corrected_share, curriculum_epochs = 0, 0.0, 0

    def configure(self, config: SamTraining) -> None:
        """Take the corrections and the curriculum from the settings."""
        self.corrections, self.corrected_share = config.corrections, config.corrected_share
        self.curriculum_epochs = sum(config.curriculum.values())

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
            generator = torch.Generator().manual_seed(context.seeds[rows[0]])
            for half in (slice(0, p // 2), slice(p // 2, p)):
                indices = numbers[rows, half].flatten()
                single = [[prompt] for row in rows for prompt in prompts[row][half]]
                repeated = {name: value[rows].repeat_interleave(p // 2, dim=0) for name, value in features.items()}
                targets = target[indices], weight[indices]
                first, mean = self._run_rounds(repeated, single, targets, corrections, generator, loss)
                logits = logits.index_copy(0, indices, first)
                losses = losses.index_copy(0, indices, mean)
        return logits, losses

    def _images_by_corrections(self, context: LossContext) -> list[tuple[list[int], int]]:
        """Indices of images, and the number of their corrections."""
        draws = [torch.rand(1, generator=torch.Generator().manual_seed(seed)).item() for seed in context.seeds]
        corrected = [i for i, draw in enumerate(draws) if context.epoch and draw < self.corrected_share]
        uncorrected = [i for i in range(len(draws)) if i not in corrected]
        return [group for group in ((uncorrected, NO_CORRECTIONS), (corrected, self.corrections)) if group[0]]

    def _run_rounds(
        self, features: Features, prompts: list[list[Prompt]], targets: Targets, corrections: int,
        generator: torch.Generator, loss: Loss,
    ) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
        """First logits and mean losses of m masks, each with one row of features and one prompt."""
        points, labels, boxes = self.sparse_prompts(prompts)
        first, losses, mask_input = None, [], None
        for number in range(corrections + 2):
            out = self.network(
                image_embeddings=self.image_embeddings(features), input_points=points, input_labels=labels,
                input_boxes=boxes, input_masks=mask_input, multimask_output=boxes is None and number == 0,
            )  # fmt: skip
            masks, predicted_iou = out.pred_masks[:, 0].float(), out.iou_scores[:, 0].float()  # (m, k, side, side)
            mask_loss, iou = (
                torch.stack([function(each, *targets) for each in masks.unbind(1)], dim=1) for function in (loss, _iou)
            )
            iou_loss = F.mse_loss(predicted_iou, iou, reduction="none").mean(dim=1)
            losses.append(mask_loss.min(dim=1).values + iou_loss)
            best = predicted_iou.argmax(dim=1)[:, None, None, None]
            logits = masks.take_along_dim(best, dim=1).detach()[:, 0]
            first = logits if first is None else first
            mask_input = logits[:, None].clamp(-MAX_LOGIT, MAX_LOGIT)
            if number < corrections:
                point, label = self._sample_correction(logits, *targets, generator)
                points = point if points is None else torch.cat([points, point], dim=2)
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
        corner = torch.stack([pixel % self.side, pixel // self.side], dim=-1).float()  # (m, 1, 2)
        point = (corner + 0.5) * (self.transform.size / self.side)
        return point[:, None], positive.flatten(1).gather(1, pixel).long()[:, None]


class InteractiveSam(InteractiveSegmenter, Sam):
    """SAM with its interactive training."""


def _focal_dice(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return FOCAL_WEIGHT * focal(logits, target, weight) + dice(logits, target, weight)


@torch.no_grad()
def _iou(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """IoU (m,) of logits and targets (m, h, w)."""
    predicted, positive = (logits > 0) & (weight > 0), (target >= 0.5) & (weight > 0)
    return (predicted & positive).sum((1, 2)) / (predicted | positive).sum((1, 2)).clamp(min=1)


def build_sam(config: SamTraining, seed: int, start: None) -> Setup:
    """Set up SAM with its interactive training, from initial weights."""
    segmenter = InteractiveSam(SamModel(SamConfig(**NETWORK)))
    images = [rendering.render(seed, "train", index, "general").image for index in range(INITIAL_IMAGES)]
    initial_weights.initialize_sam(segmenter.network, segmenter.transform.to_input(images))
    segmenter.configure(config)
    return Setup(segmenter, prompted_splits(segmenter, config, seed))


def build_medsam(config: SamTraining, seed: int, start: Path) -> Setup:
    """Set up MedSAM (Ma et al. 2024) from SAM: its image transform, box prompts alone, a single mask."""
    segmenter = MedSam(Sam.load(start, 1).network)
    return Setup(segmenter, prompted_splits(segmenter, config, seed))


def build_pa_sam(config: SamTraining, seed: int, start: Path) -> Setup:
    """Set up PA-SAM (Xie et al. 2024), an adapter in a frozen SAM.

    Its hard points are not sampled at random during training: among the 256 positions of so small an image, random ones
    made it worse with those of inference.
    """
    network = AdaptedSam(SamConfig(**NETWORK))
    network.load_state_dict(Sam.load(start, 1).network.state_dict(), strict=False)
    initial_weights.zero_initialize_adapter(network.mask_decoder)
    segmenter = PaSam(network)
    segmenter.samples_hard_points = False
    return Setup(segmenter, prompted_splits(segmenter, config, seed))


def prompted_splits(segmenter: Segmenter, config: SamTraining, seed: int) -> list[PromptedSplit]:
    """Return the splits to train and to validate on."""
    counts = {"train": config.images, "val": config.val_images}
    return [PromptedSplit(*each, segmenter, config, seed) for each in counts.items()]


BUILDERS = {"sam": build_sam, "medsam": build_medsam, "pa_sam": build_pa_sam}
