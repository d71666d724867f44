"""The contract between the models and everything generic: embeddings, inference, training.

`Segmenter` is the contract; `Interactive` keeps it for SAM and its relatives.
"""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from promptseg.base import params
from promptseg.base.errors import Problem
from promptseg.networks import attention
from promptseg.networks.frame import Frame
from promptseg.networks.prompts import Prompt

Features = dict[str, torch.Tensor]
MASK_LOGIT = 10.0  # what a mask prompt says of a pixel that is surely on the object; the negative of it, off


class Segmenter(torch.nn.Module):
    """A model that answers prompts about pictures: `decode(encode(pictures), prompts)`.

    PROMPTS: the kinds it takes, as params.Prompt.kind names them.
    PARTS: what can be trained, each part with the beginnings of its parameters' names.
    CACHED: whether `encode` is worth keeping; False where it is only the scaling of pixels.
    PRETRAIN: the beginnings of what learns from `pretext`, before the parts do; empty where there is no such thing.
    ENCODER: the frozen module that `encode` runs, by its dotted name; None where there is none.
    """

    NAME: ClassVar[str]
    PROMPTS: ClassVar[frozenset[str]]
    PARTS: ClassVar[dict[str, tuple[str, ...]]]
    CACHED: ClassVar[bool] = True
    PRETRAIN: ClassVar[tuple[str, ...]] = ()
    ENCODER: ClassVar[str | None] = None
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

    def pretext(self, features: Features) -> torch.Tensor:
        """The loss of a task that needs no masks, (n,), one for each picture; where there is PRETRAIN."""
        raise NotImplementedError

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

    @classmethod
    def check_training(cls, settings: params.Train) -> None:
        """Raise Problem unless the model can be trained so."""
        cls.check_prompt(settings.prompt)
        cls.check_parts(settings.parts)
        if settings.pretrain and not cls.PRETRAIN:
            raise Problem(f"params.yaml: {cls.NAME} has no task of its own to learn first; leave out train.pretrain")

    def train_only(self, parts: list[str]) -> list[str]:
        """Freeze all but `parts`; the names of the parameters that learn. Raises Problem for an unknown part."""
        self.check_parts(parts)
        return self.learn(tuple(beginning for part in parts for beginning in self.PARTS[part]))

    def learn(self, beginnings: tuple[str, ...]) -> list[str]:
        """Freeze all parameters but those whose names begin so; the names of those that learn."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith(beginnings))
        return [name for name, parameter in self.named_parameters() if parameter.requires_grad]


class Interactive(Segmenter):
    """A transformers network with `prompt_encoder`, `mask_decoder` and SAM's forward signature.

    single_mask: always take the decoder's single mask, as a fine-tuned decoder was trained to. Otherwise one point,
    which is ambiguous, is answered by the best of three masks by predicted IoU, and everything else by the single one
    (Kirillov et al. 2023, section 3).
    """

    PROMPTS = frozenset({"points", "box", "mask", "automatic"})
    PARTS = {"mask_decoder": ("network.mask_decoder.",)}
    ENCODER = "network.vision_encoder"

    def __init__(self, network: torch.nn.Module, frame: Frame, single_mask: bool = False):
        super().__init__()
        self.network, self.frame, self.single_mask = network, frame, single_mask
        attention.without_waste(network)

    def image_embeddings(self, features: Features):
        """Features as the network's forward takes them."""
        raise NotImplementedError

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        masks = self._stack(prompts, "mask")
        if masks is not None:
            # The networks take one mask a picture: each prompt gets a copy of its picture.
            n, p = len(prompts), len(prompts[0])
            features = {name: values.repeat_interleave(p, dim=0) for name, values in features.items()}
            prompts = [[prompt] for row in prompts for prompt in row]
            logits = self._ask(features, prompts, self._mask_input(masks.flatten(0, 1)))
            return logits.reshape(n, p, *logits.shape[-2:])
        return self._ask(features, prompts)

    def _ask(self, features: Features, prompts: list[list[Prompt]], masks: torch.Tensor | None = None) -> torch.Tensor:
        """As decode; masks: (n, 1, side, side) logits, where there is one prompt a picture."""
        points, boxes = self._stack(prompts, "points"), self._stack(prompts, "box")
        labels = self._stack(prompts, "labels")
        ambiguous = not self.single_mask and masks is None and points is not None and points.shape[2] == 1
        out = self.network(
            image_embeddings=self.image_embeddings(features),
            input_points=points,
            input_labels=labels,
            input_boxes=boxes,
            input_masks=masks,
            multimask_output=ambiguous,
        )
        if not ambiguous:
            return out.pred_masks[:, :, 0]
        best = out.iou_scores.argmax(dim=2)[:, :, None, None, None]
        return out.pred_masks.take_along_dim(best, dim=2)[:, :, 0]

    def _mask_input(self, masks: torch.Tensor) -> torch.Tensor:
        """Masks (m, size, size) in [0, 1] over the frame -> (m, 1, side, side) logits for the prompt encoder.

        Its side is four times that of the image embedding; logits, because in training SAM is given back those of its
        own answer before (Kirillov et al. 2023, appendix A).
        """
        side = 4 * self.network.prompt_encoder.image_embedding_size[0]
        return MASK_LOGIT * (2 * F.adaptive_avg_pool2d(masks[:, None], side) - 1)

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
