"""Ask the tiny checkpoints about pictures that none was trained on, and score the answers."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from drawn import sample
from promptseg.data import masks, records
from promptseg.evaluation import scores
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt, SupportExample
from settings import Test

# The targets, by figure.
AT_LEAST = {
    "sam_box_iou": 0.85, "sam_point_iou": 0.70, "sam_point_correlation": 0.6, "clipseg_text_iou": 0.60,
    "clipseg_image_iou": 0.50, "pa_sam_gain_boundary_iou": 0.03, "medsam_gain_iou": 0.05,
}  # fmt: skip
BELOW = {"clipseg_false_foreground": 0.03}


def all_of(made: dict[str, Segmenter], how: Test, seed: int, rows: Path, examples: Path) -> dict[str, object]:
    """The figures of the checkpoints that there are, by their models' names, and which targets they meet.

    rows: the container of test phrases; examples: that of phrases and pictures of what they mean. A gain is over SAM's
    figure, asked about the same. SAM 2 learned nothing here: its released weights say how hard these pictures are.
    """
    figures = {}
    for name in ("sam", "sam2"):
        if name in made:
            found = boxes(made[name], how, seed, "general") | points(made[name], how, seed, "general")
            figures |= {f"{name}_{figure}": value for figure, value in found.items()}
    for name, kind, score in (("pa_sam", "fine", "boundary_iou"), ("medsam", "faint", "iou")):
        if name in made and "sam" in made:
            own, base = (boxes(made[which], how, seed, kind)[f"box_{score}"] for which in (name, "sam"))
            figures |= {f"{name}_{score}": own, f"{name}_gain_{score}": round(own - base, 6)}
    if "clipseg" in made:
        found = phrases(made["clipseg"], rows) | support(made["clipseg"], examples)
        figures |= {f"clipseg_{name}": value for name, value in found.items()}
    return figures | {"met": met(figures)}


def met(figures: dict[str, float]) -> dict[str, bool]:
    """Which targets the figures meet, of those that there are figures for."""
    found = {name: figures[name] >= target for name, target in AT_LEAST.items() if name in figures}
    return found | {name: figures[name] < target for name, target in BELOW.items() if name in figures}


@torch.inference_mode()
def boxes(segmenter: Segmenter, how: Test, seed: int, kind: str) -> dict[str, float]:
    """Mean IoU and boundary IoU over objects of test pictures, each asked for by its box."""
    found = []
    for image, answers, _ in _pictures(how, seed, kind):
        asked = [Prompt(box=np.array(masks.box(answer))) for answer in answers]
        logits = _answers(segmenter, image, asked)
        found += [_scores(answer.astype(np.uint8), each) for answer, each in zip(answers, logits, strict=True)]
    return {f"box_{name}": _mean([one[name] for one in found]) for name in ("iou", "boundary_iou")}


@torch.inference_mode()
def points(segmenter: Segmenter, how: Test, seed: int, kind: str) -> dict[str, float]:
    """Mean IoU over objects asked for by one point on them, the best of three masks by predicted IoU taken; and how the
    predicted IoU of all three goes with the true one (Pearson)."""
    found, predicted, true = [], [], []
    for image, answers, pointed in _pictures(how, seed, kind):
        frame, shape = segmenter.frame, image.shape[:2]
        features = segmenter.encode([image])
        for prompt, answer in zip(pointed, answers[-len(pointed) :], strict=True):
            placed = frame.prompt(prompt, *shape)
            out = segmenter.network(
                image_embeddings=segmenter.image_embeddings(features),
                input_points=torch.tensor(placed.points, dtype=torch.float32, device=segmenter.device)[None, None],
                input_labels=torch.ones(1, 1, 1, dtype=torch.long, device=segmenter.device),
                multimask_output=True,
            )
            logits, guesses = frame.to_picture(out.pred_masks[0, 0], *shape), out.iou_scores[0, 0].tolist()
            each = [_scores(answer.astype(np.uint8), logit)["iou"] for logit in logits]
            found.append(each[int(np.argmax(guesses))])
            predicted, true = predicted + guesses, true + each
    return {"point_iou": _mean(found), "point_correlation": _correlation(predicted, true)}


@torch.inference_mode()
def phrases(segmenter: Segmenter, rows: Path) -> dict[str, float]:
    """Mean IoU of the true phrases, and how much of their pictures the false ones mark."""
    true, false = [], []
    for pair in records.pairs(rows):
        truth = records.mask(pair)
        logits = _answers(segmenter, records.image(pair), [Prompt(text=pair.text)])[0]
        if (truth == 1).any():
            true.append(_scores(truth, logits)["iou"])
        else:
            false.append(float((logits > 0).float().mean()))
    return {"text_iou": _mean(true), "false_foreground": _mean(false)}


@torch.inference_mode()
def support(segmenter: Segmenter, rows: Path) -> dict[str, float]:
    """Mean IoU where another picture, darkened, blurred and cropped as in CLIPSeg's scores, shows what is meant."""
    found = []
    for pair in records.pairs(rows):
        other, shown = records.support(pair)
        prompt = Prompt(example=SupportExample(other, shown == 1, ("darken", "blur", "crop")))
        logits = _answers(segmenter, records.image(pair), [prompt])[0]
        found.append(_scores(records.mask(pair), logits)["iou"])
    return {"image_iou": _mean(found)}


def _pictures(how: Test, seed: int, kind: str) -> Iterator[tuple[np.ndarray, list[np.ndarray], list[Prompt]]]:
    """Pictures, objects, and points on the last half of them."""
    for number in range(how.pictures):
        one = sample(seed, "test", number, ((kind, 1.0),), how.prompts - how.prompts // 2, how.prompts // 2, 0.0)
        yield one.image, one.answers, [prompt for prompt in one.prompts if prompt.points is not None]


def _answers(segmenter: Segmenter, image: np.ndarray, asked: list[Prompt]) -> torch.Tensor:
    """Logits (p, h, w) over the picture."""
    placed = [segmenter.frame.prompt(prompt, *image.shape[:2]) for prompt in asked]
    return segmenter.frame.to_picture(segmenter.decode(segmenter.encode([image]), [placed])[0], *image.shape[:2])


def _scores(truth: np.ndarray, logits: torch.Tensor) -> dict[str, float]:
    marked = np.where((logits > 0).cpu().numpy(), 255, 0).astype(np.uint8)[None]
    return {name: float(value[0]) for name, value in scores.derive(scores.count(truth, marked, 1)).items()}


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 6)


def _correlation(one: list[float], other: list[float]) -> float:
    """0 where either is the same everywhere."""
    return round(float(np.corrcoef(one, other)[0, 1]), 6) if np.std(one) and np.std(other) else 0.0
