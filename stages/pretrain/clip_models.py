"""CLIP and CLIPSeg, which are trained with phrases and support images rendered during training.

CLIP's loss is contrastive (Radford et al. 2021): a batch pairs all its images and crops with all its phrases. Each
positive pair is contrasted with the negative pairs of the same image, and with those of the same phrase. Uncertain
pairs are ignored, and positive pairs are not contrasted with each other.

CLIPSeg is a decoder on it (Lueddecke & Ecker 2022, section 3). Its conditional embedding is a random interpolation
between that of a phrase and that of a support image, as in its authors' training.py; that of the phrase alone where the
group has no support image for it. Negative phrases have empty targets.
"""

import json
from pathlib import Path

import initial_weights
import numpy as np
import torch
import torch.nn.functional as F
import vocabulary
from phrase_groups import VISUAL_PROMPT, PhraseGroup, PhraseGroupSplit
from pretraining import RenderedSplit, Setup
from promptseg.core.train_config import Train
from promptseg.data import masks
from promptseg.data.image_io import IGNORED
from promptseg.models import clipseg
from promptseg.models.clipseg import ClipSeg
from promptseg.nn import clip, visual_prompt, weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.prompts import Prompt
from promptseg.prompts.support import Support, SupportImage
from promptseg.prompts.text import Text
from promptseg.training import epochs
from promptseg.training.running_metrics import MetricSums
from promptseg.training.training_split import MIN_COVERAGE, TrainingItem
from settings import ClipTraining
from transformers import CLIPConfig, CLIPSegConfig, CLIPSegForImageSegmentation
from world.attributes import DescribedImage
from world.phrases import Phrase

_WIDTHS = dict(hidden_size=96, intermediate_size=192)
CLIP_PREFIX = "network.clip."  # of CLIP's parameters in CLIPSeg
MAX_SCALE = 100.0  # of the cosine similarities, as in CLIP's paper
MIN_WEIGHT, MAX_WEIGHT = 0.001, 0.999  # of the support image


def contrastive_losses(
    segmenter: ClipSeg, config: Train, split: PhraseGroupSplit, groups: list[PhraseGroup], epoch: int, sums: MetricSums
) -> list[torch.Tensor]:
    """Compute the losses (m,) of the images and phrases of a batch that have a positive pair, as a Phase takes them."""
    images = [image for group in groups for image in (*group.images, *group.crops)]
    words = {phrase.text: phrase.words for group in groups for row in group.phrases for phrase in row}
    network, device = segmenter.network.clip, segmenter.device
    pixels = torch.stack([_pixels(segmenter.transform, image) for image in images]).to(device)
    tokens = segmenter.phrases.tokenizer(list(words), padding=True, return_tensors="pt").to(device)
    image_embeddings = F.normalize(network.get_image_features(pixels).pooler_output, dim=-1)
    text_embeddings = F.normalize(network.get_text_features(**tokens).pooler_output, dim=-1)
    scores = network.logit_scale.exp().clamp(max=MAX_SCALE) * image_embeddings @ text_embeddings.T
    matches = [[image.matches(each) for each in words.values()] for image in images]
    positive, negative = (
        torch.tensor([[match is kind for match in row] for row in matches], device=device) for kind in (True, False)
    )
    by_image = multi_positive_loss(scores, positive, negative)
    loss = torch.cat([by_image, multi_positive_loss(scores.T, positive.T, negative.T)])
    sums.add_losses(loss)
    return [loss]


def multi_positive_loss(scores: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Compute the mean cross-entropy of each row's positive pairs, each against all negative pairs of the row.

    Args:
        scores: (n, m) scaled similarities.
        positive: (n, m) bool, pairs that belong together.
        negative: (n, m) bool, pairs that do not.

    Returns:
        Losses of the rows that have both positive and negative pairs, (k,).
    """
    against = torch.where(negative, scores, -torch.inf).logsumexp(dim=1, keepdim=True)
    loss = torch.where(positive, F.softplus(against - scores), 0.0)
    rows = positive.any(dim=1) & negative.any(dim=1)
    return (loss.sum(dim=1) / positive.sum(dim=1).clamp(min=1))[rows]


def _pixels(transform: ImageTransform, image: DescribedImage) -> torch.Tensor:
    """Input of the vision encoder, (3, size, size)."""
    (pixels,) = transform.to_input([image.scene.image])
    if image.mask is None:
        return pixels
    return visual_prompt.prepare(pixels, transform.from_image(image.mask, transform.size), VISUAL_PROMPT)


class PhraseTargets(TrainingItem):
    """An image with its prompts, where each phrase has ignored pixels of its own: `counted` is (p, h, w) bool."""

    def targets(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Targets and weights, (p, side, side) each; computed once a side."""
        if side not in self._targets:
            target = np.stack([self.transform.from_image(region.full(), side) for region in self.regions])
            coverage = np.stack([self.transform.from_image(each, side) for each in self.counted])
            self._targets[side] = target, (coverage >= MIN_COVERAGE).astype(np.float32)
        return self._targets[side]


def decoder_losses(
    segmenter: ClipSeg, config: Train, split: PhraseGroupSplit, groups: list[PhraseGroup], epoch: int, sums: MetricSums
) -> list[torch.Tensor]:
    """Compute the losses of a batch of groups, (m,) each, as a Phase takes them."""
    samples = [sample for group in groups for sample in phrase_targets(segmenter.transform, group)]
    return epochs.mask_losses(segmenter, config, split, samples, epoch, sums)


def phrase_targets(transform: ImageTransform, group: PhraseGroup) -> list[PhraseTargets]:
    """Make the training items of a group: each image with prompts for all its phrases."""
    rng, samples = np.random.default_rng(group.seed), []
    for position, (image, phrases) in enumerate(zip(group.images, group.phrases, strict=True)):
        prompts = [_prompt(rng, phrase, group.support(phrase, position)) for phrase in phrases]
        phrase_masks = [phrase.mask(image.scene) for phrase in phrases]
        regions = [masks.whole_region(mask == 1) for mask in phrase_masks]
        counted = np.array([mask != IGNORED for mask in phrase_masks])
        samples.append(PhraseTargets(group.index, group.seed, transform, prompts, regions, counted, image.scene.image))
    return samples


def _prompt(rng: np.random.Generator, phrase: Phrase, support: tuple[np.ndarray, np.ndarray] | None) -> Prompt:
    weight = float(rng.uniform(MIN_WEIGHT, MAX_WEIGHT))
    images = (SupportImage(support[0], support[1] == 1),) if support else ()
    parts = [Support(images, VISUAL_PROMPT, weight)] if images else []
    return Prompt.of(Text(phrase.text), *parts)


def build_clip(config: ClipTraining, seed: int, start: None) -> Setup:
    """Set up CLIP with its contrastive loss, from random weights; the checkpoint is in the layout of the hub."""
    segmenter = _create()
    stored = CLIPConfig(**_network()).to_dict()
    stored.pop("transformers_version", None)
    splits = _splits(segmenter, config, seed)
    return Setup(segmenter, splits, contrastive_losses, (CLIP_PREFIX, stored))


def build_clipseg(config: ClipTraining, seed: int, start: Path) -> Setup:
    """Set up CLIPSeg, a decoder on frozen CLIP."""
    segmenter = _create()
    initial_weights.initialize_layers(segmenter.network.decoder)
    segmenter.network.clip.load_state_dict(weights.read(start)[1])
    return Setup(segmenter, _splits(segmenter, config, seed), decoder_losses)


def _splits(segmenter: ClipSeg, config: ClipTraining, seed: int) -> list[RenderedSplit]:
    counts = {"train": config.groups, "val": config.val_groups}
    return [PhraseGroupSplit(*each, segmenter, config, seed) for each in counts.items()]


def _network() -> dict:
    """Configuration of CLIP, with the size of the vocabulary."""
    size = len(json.loads(vocabulary.files()["vocab.json"]))  # the last two are those of start and end
    special = {"vocab_size": size, "bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1}
    return {
        "vision_config": clip.TINY["vision_config"] | _WIDTHS,
        "text_config": clip.TINY["text_config"] | _WIDTHS | special,
        "projection_dim": 96,
    }


def _create() -> ClipSeg:
    """CLIPSeg with the tokenizer of the synthetic phrases, and the random weights of transformers."""
    config = CLIPSegConfig(**clipseg.TINY | _network() | {"reduce_dim": 64})
    return ClipSeg(CLIPSegForImageSegmentation(config), vocabulary.files(), config.vision_config.image_size)


BUILDERS = {"clip": build_clip, "clipseg": build_clipseg}
