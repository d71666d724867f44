"""What comes before the masks: a model learns a task of its own, such as giving the picture back.

The study's autoencoder is trained so (reconstruction first, then segmentation). No masks and no prompts take part.
"""

import torch

from promptseg.nn.segmenter import Segmenter
from promptseg.training.running_metrics import Sums
from promptseg.training.training_split import Asked, Split


def losses(segmenter: Segmenter, split: Split, asked: list[Asked], epoch: int, sums: Sums) -> list[torch.Tensor]:
    """The pretext's loss of each of these pictures, (n,)."""
    if not asked:
        return []
    each = segmenter.pretext(split.features(asked))
    sums.add_losses(each)
    return [each]
