"""Scores of the tiny checkpoints on test images of the world, and their requirements."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from generated_split import PromptSampling, sample_prompted_image
from promptseg.data import masks, records
from promptseg.evaluation import counts, metrics
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.support import Support
from promptseg.prompts.text import Text
from settings import Evaluation

# What the checkpoints should reach, by metric.
MINIMUM = {
    "sam_box_iou": 0.85, "sam_point_iou": 0.70, "sam_point_iou_correlation": 0.6, "clipseg_text_iou": 0.60,
    "clipseg_support_iou": 0.50, "pa_sam_boundary_iou_gain": 0.03, "medsam_iou_gain": 0.05,
}  # fmt: skip
MAXIMUM = {"clipseg_negative_foreground": 0.03}


def score_checkpoints(
    segmenters: dict[str, Segmenter], config: Evaluation, seed: int, phrases: Path, support: Path
) -> dict[str, object]:
    """Score checkpoints.

    Args:
        segmenters: by the name of their model; metrics of other models are left out. SAM 2, which is not trained here,
            shows by its released weights how difficult the images are.
        config: number of images and prompts.
        seed: of images and prompts.
        phrases: Parquet file of the test phrases.
        support: Parquet file of phrases with support images.

    Returns:
        Metrics by name, where a gain is the difference to SAM with the same prompts, and which requirements are met.
    """
    metrics = {}
    for name in ("sam", "sam2"):
        if name in segmenters:
            segmenter = segmenters[name]
            own = score_boxes(segmenter, config, seed, "general") | score_points(segmenter, config, seed, "general")
            metrics |= {f"{name}_{metric}": value for metric, value in own.items()}
    for name, kind, metric in (("pa_sam", "fine", "boundary_iou"), ("medsam", "faint", "iou")):
        if name in segmenters and "sam" in segmenters:
            own, base = (score_boxes(segmenters[each], config, seed, kind)[f"box_{metric}"] for each in (name, "sam"))
            metrics |= {f"{name}_{metric}": own, f"{name}_{metric}_gain": round(own - base, 6)}
    if "clipseg" in segmenters:
        own = score_phrases(segmenters["clipseg"], phrases) | score_support(segmenters["clipseg"], support)
        metrics |= {f"clipseg_{metric}": value for metric, value in own.items()}
    return metrics | {"requirements_met": requirements_met(metrics)}


def requirements_met(metrics: dict[str, float]) -> dict[str, bool]:
    """Compare metrics with their requirements, for those that have one."""
    result = {name: metrics[name] >= minimum for name, minimum in MINIMUM.items() if name in metrics}
    return result | {name: metrics[name] < maximum for name, maximum in MAXIMUM.items() if name in metrics}


@torch.inference_mode()
def score_boxes(segmenter: Segmenter, config: Evaluation, seed: int, kind: str) -> dict[str, float]:
    """Compute mean IoU and mean Boundary IoU over objects that are prompted by their bounding boxes."""
    metrics = []
    for image, targets, _ in _images(config, seed, kind):
        prompts = [Prompt.of(Box(np.array(masks.bounding_box(target)))) for target in targets]
        logits = _predict(segmenter, image, prompts)
        metrics += [_metrics(target.astype(np.uint8), each) for target, each in zip(targets, logits, strict=True)]
    return {f"box_{name}": _mean([each[name] for each in metrics]) for name in ("iou", "boundary_iou")}


@torch.inference_mode()
def score_points(segmenter: Segmenter, config: Evaluation, seed: int, kind: str) -> dict[str, float]:
    """Score objects that are prompted by a single point.

    Returns:
        Mean IoU of the best of three masks by predicted IoU, and the correlation (Pearson) of predicted and true IoU
        over all masks.
    """
    best, predicted, true = [], [], []
    for image, targets, prompts in _images(config, seed, kind):
        transform, shape = segmenter.transform, image.shape[:2]
        features = segmenter.encode([image])
        for prompt, target in zip(prompts, targets[-len(prompts) :], strict=True):
            points = prompt.to_model(transform, *shape).get("points").coordinates
            out = segmenter.network(
                image_embeddings=segmenter.image_embeddings(features),
                input_points=torch.tensor(points, dtype=torch.float32, device=segmenter.device)[None, None],
                input_labels=torch.ones(1, 1, 1, dtype=torch.long, device=segmenter.device),
                multimask_output=True,
            )
            logits, predicted_iou = transform.to_image(out.pred_masks[0, 0], *shape), out.iou_scores[0, 0].tolist()
            iou = [_metrics(target.astype(np.uint8), each)["iou"] for each in logits]
            best.append(iou[int(np.argmax(predicted_iou))])
            predicted, true = predicted + predicted_iou, true + iou
    return {"point_iou": _mean(best), "point_iou_correlation": _correlation(predicted, true)}


@torch.inference_mode()
def score_phrases(segmenter: Segmenter, split: Path) -> dict[str, float]:
    """Compute the mean IoU of positive phrases, and the mean foreground of the predictions for negative ones."""
    iou, foreground = [], []
    for record in records.open_split(split):
        target = records.mask(record)
        logits = _predict(segmenter, records.image(record), [Prompt.of(Text(record.text))])[0]
        if (target == 1).any():
            iou.append(_metrics(target, logits)["iou"])
        else:
            foreground.append(float((logits > 0).float().mean()))
    return {"text_iou": _mean(iou), "negative_foreground": _mean(foreground)}


@torch.inference_mode()
def score_support(segmenter: Segmenter, split: Path) -> dict[str, float]:
    """Compute the mean IoU with support images, which are darkened, blurred and cropped as in CLIPSeg's paper."""
    iou = []
    for record in records.open_split(split):
        image, mask = records.support(record)
        prompt = Prompt.of(Support(image, mask == 1, ("darken", "blur", "crop"), 1.0))
        logits = _predict(segmenter, records.image(record), [prompt])[0]
        iou.append(_metrics(records.mask(record), logits)["iou"])
    return {"support_iou": _mean(iou)}


def _images(config: Evaluation, seed: int, kind: str) -> Iterator[tuple[np.ndarray, list[np.ndarray], list[Prompt]]]:
    """Test images, the masks of objects, and point prompts for the last half of these."""
    points = config.prompts // 2
    sampling = PromptSampling(((kind, 1.0),), config.prompts - points, points, 0.0)
    for index in range(config.images):
        sample = sample_prompted_image(seed, "test", index, sampling)
        yield sample.image, sample.targets, [prompt for prompt in sample.prompts if prompt.get("points")]


def _predict(segmenter: Segmenter, image: np.ndarray, prompts: list[Prompt]) -> torch.Tensor:
    """Logits (p, h, w) over the image."""
    size = image.shape[:2]
    prompts = [prompt.to_model(segmenter.transform, *size) for prompt in prompts]
    return segmenter.transform.to_image(segmenter.decode(segmenter.encode([image]), [prompts])[0], *size)


def _metrics(target: np.ndarray, logits: torch.Tensor) -> dict[str, float]:
    """Metrics of one mask, by name."""
    predicted = np.where((logits > 0).cpu().numpy(), 255, 0).astype(np.uint8)[None]
    values = metrics.compute_metrics(counts.count(target, predicted, 1))
    return {name: float(value[0]) for name, value in values.items()}


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 6)


def _correlation(x: list[float], y: list[float]) -> float:
    """Pearson correlation; 0 where one is constant."""
    return round(float(np.corrcoef(x, y)[0, 1]), 6) if np.std(x) and np.std(y) else 0.0
