"""Scores of the tiny checkpoints on test images of the world, and their requirements."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from prompted_images import PromptedImage, sample_prompted_image
from promptseg.data import masks, records
from promptseg.evaluation import counts, metrics
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.support import Support, SupportImage
from promptseg.prompts.text import Text
from settings import Evaluation, Prompts

# What the checkpoints should reach, by metric: SAM 2 what the tiny SAM does, from which it is trained.
MINIMUM = {
    "sam_box_iou": 0.85, "sam_point_iou": 0.70, "sam_point_iou_correlation": 0.6, "sam2_box_iou": 0.632,
    "sam2_point_iou": 0.438, "sam2_point_iou_correlation": 0.668, "clipseg_text_iou": 0.60,
    "clipseg_support_iou": 0.50, "pa_sam_boundary_iou_gain": 0.03, "medsam_iou_gain": 0.05,
}  # fmt: skip
MAXIMUM = {"clipseg_negative_foreground": 0.03}


@torch.inference_mode()
def score_checkpoints(
    segmenters: dict[str, Segmenter], config: Evaluation, seed: int, phrases: Path, support: Path
) -> dict[str, object]:
    """Score checkpoints.

    Args:
        segmenters: by the name of their model; metrics of other models are left out. The released SAM 2
            shows how difficult the images are.
        config: number of images and prompts.
        seed: of images and prompts.
        phrases: Parquet file of the test phrases.
        support: Parquet file of phrases with support images.

    Returns:
        Metrics by name, where a gain is the difference to SAM with the same prompts, and which requirements are met.
    """
    scores = {}
    for name, segmenter in segmenters.items():
        if name in ("sam", "sam2"):
            own = _score_boxes(segmenter, config, seed, "general") | _score_points(segmenter, config, seed)
            scores |= {f"{name}_{metric}": value for metric, value in own.items()}
    for name, kind, metric in (("pa_sam", "fine", "boundary_iou"), ("medsam", "faint", "iou")):
        if {name, "sam"} <= segmenters.keys():
            own, base = (_score_boxes(segmenters[each], config, seed, kind)[f"box_{metric}"] for each in (name, "sam"))
            scores |= {f"{name}_{metric}": own, f"{name}_{metric}_gain": round(own - base, 6)}
    if "clipseg" in segmenters:
        own = _score_phrases(segmenters["clipseg"], phrases) | _score_support(segmenters["clipseg"], support)
        scores |= {f"clipseg_{metric}": value for metric, value in own.items()}
    return scores | {"requirements_met": requirements_met(scores)}


def requirements_met(scores: dict[str, float]) -> dict[str, bool]:
    """Compare metrics with their requirements, for those that have one."""
    result = {name: scores[name] >= minimum for name, minimum in MINIMUM.items() if name in scores}
    return result | {name: scores[name] < maximum for name, maximum in MAXIMUM.items() if name in scores}


def _score_boxes(segmenter: Segmenter, config: Evaluation, seed: int, kind: str) -> dict[str, float]:
    """Mean IoU and mean Boundary IoU over objects that are prompted by their bounding boxes."""
    own = []
    for sample in _images(config, seed, kind):
        prompts = [Prompt.of(Box(np.array(masks.bounding_box(target)))) for target in sample.targets]
        logits = _predict(segmenter, sample.image, prompts)
        own += [_metrics(target, each) for target, each in zip(sample.targets, logits, strict=True)]
    return {f"box_{name}": _mean([each[name] for each in own]) for name in ("iou", "boundary_iou")}


def _score_points(segmenter: Segmenter, config: Evaluation, seed: int) -> dict[str, float]:
    """Mean IoU of the best of three masks for a single point, and correlation of predicted and true IoU of all."""
    best, predicted, true = [], [], []
    for image, prompts, targets in _images(config, seed, "general"):
        transform, shape = segmenter.transform, image.shape[:2]
        features = segmenter.encode([image])
        for prompt, target in list(zip(prompts, targets, strict=True))[config.prompts - config.prompts // 2 :]:
            points, labels, _ = segmenter.sparse_prompts([[prompt.to_model(transform, *shape)]])
            out = segmenter.network(
                image_embeddings=segmenter.image_embeddings(features), input_points=points, input_labels=labels,
                multimask_output=True,
            )  # fmt: skip
            logits, predicted_iou = transform.to_image(out.pred_masks[0, 0], *shape), out.iou_scores[0, 0].tolist()
            iou = [_metrics(target, each)["iou"] for each in logits]
            best.append(iou[int(np.argmax(predicted_iou))])
            predicted, true = predicted + predicted_iou, true + iou
    constant = not (np.std(predicted) and np.std(true))
    correlation = 0.0 if constant else round(float(np.corrcoef(predicted, true)[0, 1]), 6)
    return {"point_iou": _mean(best), "point_iou_correlation": correlation}


def _score_phrases(segmenter: Segmenter, split: Path) -> dict[str, float]:
    """Mean IoU of positive phrases, and mean foreground of the predictions for negative ones."""
    iou, foreground = [], []
    for record in records.open_split(split):
        target = records.mask(record)
        logits = _predict(segmenter, records.image(record), [Prompt.of(Text(record.text))])[0]
        if (target == 1).any():
            iou.append(_metrics(target, logits)["iou"])
        else:
            foreground.append(float((logits > 0).float().mean()))
    return {"text_iou": _mean(iou), "negative_foreground": _mean(foreground)}


def _score_support(segmenter: Segmenter, split: Path) -> dict[str, float]:
    """Mean IoU with support images, which are darkened, blurred and cropped as in CLIPSeg's paper."""
    iou = []
    for record in records.open_split(split):
        image, mask = records.support(record)
        prompt = Prompt.of(Support((SupportImage(image, mask == 1),), ("darken", "blur", "crop"), 1.0))
        iou.append(_metrics(records.mask(record), _predict(segmenter, records.image(record), [prompt])[0])["iou"])
    return {"support_iou": _mean(iou)}


def _images(config: Evaluation, seed: int, kind: str) -> Iterator[PromptedImage]:
    """Test images, with point prompts for the last half of the objects."""
    points = config.prompts // 2
    prompts = Prompts(kinds={kind: 1.0}, boxes=config.prompts - points, points=points, jitter=0.0)
    return (sample_prompted_image(seed, "test", index, prompts) for index in range(config.images))


def _predict(segmenter: Segmenter, image: np.ndarray, prompts: list[Prompt]) -> torch.Tensor:
    """Logits (p, h, w) over the image."""
    size = image.shape[:2]
    inputs = [prompt.to_model(segmenter.transform, *size) for prompt in prompts]
    return segmenter.transform.to_image(segmenter.decode(segmenter.encode([image]), [inputs])[0], *size)


def _metrics(target: np.ndarray, logits: torch.Tensor) -> dict[str, float]:
    """Metrics of one mask, by name."""
    predicted = np.where((logits > 0).cpu().numpy(), 255, 0).astype(np.uint8)[None]
    values = metrics.compute_metrics(counts.count(target.astype(np.uint8), predicted, 1).outcomes)
    return {name: float(value[0]) for name, value in values.items()}


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 6)
