"""The contract between the models and everything generic: embeddings, inference, training.

`Segmenter` is the contract; `Interactive` keeps it for SAM and its relatives.
"""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch

from promptseg import params
from promptseg.errors import Problem
from promptseg.frame import Frame
from promptseg.prompts import Prompt

Features = dict[str, torch.Tensor]


class Segmenter(torch.nn.Module):
    """A model that answers prompts about pictures: `decode(encode(pictures), prompts)`.

    PROMPTS: the kinds it takes, of "points", "box", "text", "none", and "automatic" where `automatic` can ask for masks.
    PARTS: what can be trained, each part with the beginnings of its parameters' names.
    CACHED: whether `encode` is worth keeping; False where it is only the scaling of pixels.
    """

    NAME: ClassVar[str]
    PROMPTS: ClassVar[frozenset[str]]
    PARTS: ClassVar[dict[str, tuple[str, ...]]]
    CACHED: ClassVar[bool] = True
    frame: Frame

    @abstractmethod
    def encode(self, images: list[np.ndarray]) -> Features:
        """n pictures (h, w) or (h, w, 3) uint8, of any sizes -> the frozen, prompt-free features, each (n, ...)."""

    @abstractmethod
    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        """Features of n pictures, and for each the same number p of prompts in the frame's pixels, all of one kind
        and with the same number of points -> logits (n, p, side, side) over the frame."""

    @abstractmethod
    def configuration(self) -> dict:
        """What `load` needs besides the tensors, as JSON."""

    def files(self) -> dict[str, bytes]:
        """Further files of the checkpoint, such as a tokenizer's, by name."""
        return {}

    def trained(self) -> None:
        """Told when fine-tuned weights were put in, or are about to be learned."""

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @classmethod
    def check_prompt(cls, settings: params.Prompt) -> None:
        """Raise Problem unless the model takes this kind of prompt."""
        if settings.kind not in cls.PROMPTS:
            what = f"takes no {settings.kind} prompt" if settings.kind != "none" else "cannot do without a prompt"
            raise Problem(f"params.yaml: {cls.NAME} {what}; it takes {', '.join(sorted(cls.PROMPTS))}")

    @classmethod
    def check_parts(cls, parts: list[str]) -> None:
        """Raise Problem unless the model has all these parts, and at least one is named."""
        unknown = [part for part in parts if part not in cls.PARTS]
        if unknown or not parts:
            what = f"has no part {unknown[0]!r} to train" if unknown else "needs a part to train"
            raise Problem(f"params.yaml: {cls.NAME} {what}; known: {', '.join(cls.PARTS)}")

    def train_only(self, parts: list[str]) -> list[str]:
        """Freeze all but `parts`; the names of the parameters that learn. Raises Problem for an unknown part."""
        self.check_parts(parts)
        beginnings = tuple(beginning for part in parts for beginning in self.PARTS[part])
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith(beginnings))
        return [name for name, parameter in self.named_parameters() if parameter.requires_grad]


class Interactive(Segmenter):
    """A transformers network with `prompt_encoder`, `mask_decoder` and SAM's forward signature.

    single_mask: always take the decoder's single mask, as a fine-tuned decoder was trained to. Otherwise one point,
    which is ambiguous, is answered by the best of three masks by predicted IoU, and everything else by the single one
    (Kirillov et al. 2023, section 3).
    """

    PROMPTS = frozenset({"points", "box", "automatic"})
    PARTS = {"mask_decoder": ("network.mask_decoder.",)}

    def __init__(self, network: torch.nn.Module, frame: Frame, single_mask: bool = False):
        super().__init__()
        self.network, self.frame, self.single_mask = network, frame, single_mask

    def image_embeddings(self, features: Features):
        """Features as the network's forward takes them."""
        raise NotImplementedError

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        points, boxes = self._stack(prompts, "points"), self._stack(prompts, "box")
        labels = self._stack(prompts, "labels")
        ambiguous = not self.single_mask and points is not None and points.shape[2] == 1
        out = self.network(
            image_embeddings=self.image_embeddings(features),
            input_points=points,
            input_labels=labels,
            input_boxes=boxes,
            multimask_output=ambiguous,
        )
        if not ambiguous:
            return out.pred_masks[:, :, 0]
        best = out.iou_scores.argmax(dim=2)[:, :, None, None, None]
        return out.pred_masks.take_along_dim(best, dim=2)[:, :, 0]

    def trained(self) -> None:
        self.single_mask = True  # fine-tuning teaches the single mask, whatever the prompt

    def configuration(self) -> dict:
        network = self.network.config.to_dict()
        network.pop("transformers_version", None)
        return {"model": self.NAME, "network": network, "single_mask": self.single_mask}

    def _stack(self, prompts: list[list[Prompt]], name: str) -> torch.Tensor | None:
        """One field of all prompts: (n, p, ...), floats as float32; None where it is not asked."""
        if getattr(prompts[0][0], name) is None:
            return None
        values = np.stack([np.stack([getattr(prompt, name) for prompt in row]) for row in prompts])
        kind = torch.long if name == "labels" else torch.float32
        return torch.as_tensor(values, dtype=kind, device=self.device)
