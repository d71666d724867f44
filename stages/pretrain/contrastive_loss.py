"""Contrastive loss of CLIP (Radford et al. 2021), with known positive and negative pairs.

A batch pairs all its images and crops with all its phrases. Each positive pair is contrasted with the negative pairs of
the same image, and with those of the same phrase. Uncertain pairs are ignored, and positive pairs are not contrasted
with each other.
"""

import torch
import torch.nn.functional as F
from phrase_groups import VISUAL_PROMPT, DescribedImage, PhraseGroup, PhraseGroupSplit
from promptseg.models.clipseg import ClipSeg
from promptseg.nn import visual_prompt
from promptseg.training.running_metrics import MetricSums

MAX_SCALE = 100.0  # of the cosine similarities, as in the paper


def losses(
    segmenter: ClipSeg, split: PhraseGroupSplit, groups: list[PhraseGroup], epoch: int, sums: MetricSums
) -> list[torch.Tensor]:
    """Compute the losses of a batch of groups, as a Phase takes them.

    Returns:
        Losses (m,) of the images and phrases that have a positive pair.
    """
    images = [image for group in groups for image in (*group.images, *group.crops)]
    phrases = [phrase for group in groups for row in group.phrases for phrase in row]
    words = list({phrase.text: phrase.words for phrase in phrases}.items())
    clip, device = segmenter.network.clip, segmenter.device
    pixels = torch.stack([_pixels(segmenter, image) for image in images]).to(device)
    tokens = segmenter.phrases.tokenizer([text for text, _ in words], padding=True, return_tensors="pt").to(device)
    image_embeddings = F.normalize(clip.get_image_features(pixels).pooler_output, dim=-1)
    text_embeddings = F.normalize(clip.get_text_features(**tokens).pooler_output, dim=-1)
    scores = clip.logit_scale.exp().clamp(max=MAX_SCALE) * image_embeddings @ text_embeddings.T
    matches = [[image.matches(each) for _, each in words] for image in images]
    positive = torch.tensor([[match is True for match in row] for row in matches], device=device)
    negative = torch.tensor([[match is False for match in row] for row in matches], device=device)
    by_image = multi_positive_loss(scores, positive, negative)
    by_phrase = multi_positive_loss(scores.T, positive.T, negative.T)
    loss = torch.cat([by_image, by_phrase])
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


def _pixels(segmenter: ClipSeg, image: DescribedImage) -> torch.Tensor:
    """Input of the vision encoder, (3, size, size)."""
    transform = segmenter.transform
    pixels = transform.to_input([image.scene.image])[0]
    if image.mask is None:
        return pixels
    return visual_prompt.prepare(pixels, transform.from_image(image.mask, transform.size), VISUAL_PROMPT)
