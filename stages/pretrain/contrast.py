"""CLIP, learned by contrast (Radford et al. 2021), from a world in which it is known what a phrase is true of.

A step's pictures, whole and by a thing cut out of them as CLIPSeg's examples are, meet all its phrases. Each pair that
is true is told apart from all that are false, among the picture's phrases and among the phrase's pictures; pairs of
which one may say either count for nothing, and several true ones do not count against each other.
"""

import torch
import torch.nn.functional as F
from promptseg.models.clipseg import ClipSeg
from promptseg.nn import visual_prompt
from promptseg.training.running_metrics import Sums
from told import PREPARED, Group, Groups, Seen

MOST = 100.0  # the scale of the cosines, at most, as in the paper


def losses(segmenter: ClipSeg, split: Groups, groups: list[Group], epoch: int, sums: Sums) -> list[torch.Tensor]:
    """The loss of each picture and of each phrase that has a true pair, (m,)."""
    seen = [one for group in groups for one in (*group.seen, *group.things)]
    said = [phrase for group in groups for phrases in group.phrases for phrase in phrases]
    words = list({phrase.text: phrase.words for phrase in said}.items())
    clip, device = segmenter.network.clip, segmenter.device
    pixels = torch.stack([_pixels(segmenter, one) for one in seen]).to(device)
    tokens = segmenter.phrases.tokenizer([text for text, _ in words], padding=True, return_tensors="pt").to(device)
    images = F.normalize(clip.get_image_features(pixels).pooler_output, dim=-1)
    texts = F.normalize(clip.get_text_features(**tokens).pooler_output, dim=-1)
    scores = clip.logit_scale.exp().clamp(max=MOST) * images @ texts.T
    holds = [[one.holds(each) for _, each in words] for one in seen]
    true = torch.tensor([[value is True for value in row] for row in holds], device=device)
    false = torch.tensor([[value is False for value in row] for row in holds], device=device)
    each = torch.cat([told_apart(scores, true, false), told_apart(scores.T, true.T, false.T)])
    sums.add_losses(each)
    return [each]


def told_apart(scores: torch.Tensor, true: torch.Tensor, false: torch.Tensor) -> torch.Tensor:
    """scores: (n, m); true, false: (n, m) bool -> (k,), for each row with a true pair, the mean over its true ones of
    the cross-entropy of that one against the row's false ones."""
    against = torch.where(false, scores, -torch.inf).logsumexp(dim=1, keepdim=True)
    each = torch.where(true, F.softplus(against - scores), 0.0)
    rows = true.any(dim=1) & false.any(dim=1)
    return (each.sum(dim=1) / true.sum(dim=1).clamp(min=1))[rows]


def _pixels(segmenter: ClipSeg, one: Seen) -> torch.Tensor:
    frame = segmenter.frame
    pixels = frame.pixels([one.picture.image])[0]
    return pixels if one.mask is None else visual_prompt.prepare(pixels, frame.from_picture(one.mask, frame.size), PREPARED)
