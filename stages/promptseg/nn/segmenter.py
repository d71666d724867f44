"""The contract between the models and everything generic: embeddings, inference, training.

`Segmenter` is the contract; `SamSegmenter` keeps it for SAM and its relatives.
"""

import contextlib
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.nn import attention
from promptseg.nn.image_transform import ImageTransform
from promptseg.prompts import Prompt

Features = dict[str, torch.Tensor]
MASK_LOGIT = 10.0  # what a mask prompt says of a pixel that is surely on the object; the negative of it, off


@dataclass(frozen=True)
class LossContext:
    """What a model is told of the m = n * p maps that it should give for n pictures, while it learns or is measured.

    loss: one of losses.py. truth: side -> (m, side, side) targets in [0, 1] and as many weights, over the frame.
    epoch: 1, 2, ... while it learns, 0 while it is measured. seeds: one for each picture, others in each epoch.
    """

    loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
    truth: Callable[[int], tuple[torch.Tensor, torch.Tensor]]
    epoch: int
    seeds: list[int]


class Segmenter(torch.nn.Module):
    """A model that answers prompts about pictures: `decode(encode(pictures), prompts)`.

    MODALITY: "picture", or "cloud" for point clouds (clouds.py): pictures (points, 2, 3) of equally many points, where
    logits are by point, (n, p, points, 2), and the frame is depth_maps.Views.
    PROMPTS: the kinds it takes, as params.Prompt.kind names them.
    PARTS: what can be trained, each part with the beginnings of its parameters' names, where * stands for anything;
        empty where nothing can.
    ENCODER: the beginnings of the names of what `encode` runs; empty where that is no network of its own.
    LORA_TARGETS: the end of the names of the linear layers that low-rank adapters stand beside, for the part `lora`.
    CACHED: whether `encode` is worth keeping; False where it is only the scaling of pixels.
    PRETRAIN: the beginnings of what learns from `pretext`, before the parts do; empty where there is no such thing.
    REFINES: whether it turns a coarse answer of its own into prompts, as params.Refine says.
    """

    NAME: ClassVar[str]
    MODALITY: ClassVar[str] = "picture"
    PROMPTS: ClassVar[frozenset[str]]
    PARTS: ClassVar[dict[str, tuple[str, ...]]]
    ENCODER: ClassVar[tuple[str, ...]] = ()
    LORA_TARGETS: ClassVar[str] = ""
    CACHED: ClassVar[bool] = True
    PRETRAIN: ClassVar[tuple[str, ...]] = ()
    REFINES: ClassVar[bool] = False
    frame: ImageTransform
    encoder_trainable = False  # as `learn` was told

    @abstractmethod
    def encode(self, images: list[np.ndarray]) -> Features:
        """n pictures (h, w) or (h, w, 3) uint8, of any sizes -> the prompt-free features, each (n, ...).

        They have gradients only where the encoder learns.
        """

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

    def teach(
        self, features: Features, prompts: list[list[Prompt]], lesson: LossContext
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The answers as logits (m, side, side), and what is to be made small, (m,); a model may add to the loss."""
        logits = self.decode(features, prompts).flatten(0, 1).float()
        return logits, lesson.loss(logits, *lesson.truth(logits.shape[-1]))

    def pretext(self, features: Features) -> torch.Tensor:
        """The loss of a task that needs no masks, (n,), one for each picture; where there is PRETRAIN."""
        raise NotImplementedError

    def trained(self) -> None:
        """Told when fine-tuned weights were put in, or are about to be learned."""

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @classmethod
    def check_modality(cls, kind: str, dataset: str) -> None:
        """Raise UserError unless the model takes what a dataset holds: kind, "picture" or "cloud"."""
        if kind != cls.MODALITY:
            raise UserError(f"params.yaml: {cls.NAME} takes {cls.MODALITY}s, and {dataset} holds {kind}s")

    @classmethod
    def check_prompt(cls, settings: params.Prompt) -> None:
        """Raise UserError unless the model takes such prompts."""
        if settings.kind not in cls.PROMPTS:
            what = f"takes no {settings.kind} prompt" if settings.kind != "none" else "cannot do without a prompt"
            raise UserError(f"params.yaml: {cls.NAME} {what}; it takes {', '.join(sorted(cls.PROMPTS))}")
        if settings.refine is not None and not cls.REFINES:
            raise UserError(f"params.yaml: {cls.NAME} refines no answer of another network; leave out prompt.refine")

    @classmethod
    def check_parts(cls, parts: list[str]) -> None:
        """Raise UserError unless the model has all these parts, and at least one is named."""
        if not cls.PARTS:
            raise UserError(f"params.yaml: {cls.NAME} has nothing to train; ask it in zero_shot")
        unknown = [part for part in parts if part not in cls.PARTS]
        if unknown or not parts:
            what = f"has no part {unknown[0]!r} to train" if unknown else "needs a part to train"
            raise UserError(f"params.yaml: {cls.NAME} {what}; known: {', '.join(cls.PARTS)}")
        for part in parts:
            if "lora" in parts and part != "lora" and cls.trains_encoder(part):
                raise UserError(f"params.yaml: {cls.NAME}: lora and {part} both train the encoder; name one of them")

    @classmethod
    def trains_encoder(cls, part: str) -> bool:
        """Whether a part changes what `encode` gives, so that features cannot be kept."""
        return any(name.startswith(cls.ENCODER) for name in cls.PARTS[part])

    @classmethod
    def check_training(cls, settings: params.Train) -> None:
        """Raise UserError unless the model can be trained so."""
        cls.check_prompt(settings.prompt)
        cls.check_parts(settings.parts)
        if settings.pretrain and not cls.PRETRAIN:
            raise UserError(f"params.yaml: {cls.NAME} has no task of its own to learn first; leave out train.pretrain")

    def set_trainable(self, parts: list[str]) -> list[str]:
        """Freeze all but `parts`; the names of the parameters that learn. Raises UserError for an unknown part.

        For the part `lora` there must be adapters already (lora.py).
        """
        self.check_parts(parts)
        return self.learn(tuple(beginning for part in parts for beginning in self.PARTS[part]))

    def learn(self, beginnings: tuple[str, ...]) -> list[str]:
        """Freeze all parameters but those whose names begin so; the names of those that learn."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(any(fnmatchcase(name, f"{beginning}*") for beginning in beginnings))
        learned = [name for name, parameter in self.named_parameters() if parameter.requires_grad]
        self.encoder_trainable = any(name.startswith(self.ENCODER) for name in learned)
        return learned

    def encoding(self) -> contextlib.AbstractContextManager:
        """What `encode` runs in: gradients are kept only where they are asked for and the encoder learns."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and self.encoder_trainable)


class SamSegmenter(Segmenter):
    """A transformers network with `prompt_encoder`, `mask_decoder` and SAM's forward signature.

    single_mask: always take the decoder's single mask, as a fine-tuned decoder was trained to. Otherwise one point,
    which is ambiguous, is answered by the best of three masks by predicted IoU, and everything else by the single one
    (Kirillov et al. 2023, section 3).
    """

    PROMPTS = frozenset({"points", "box", "mask", "automatic"})
    ENCODER = ("network.vision_encoder.",)
    LORA_TARGETS = ".attn.qkv"
    PARTS = {
        "mask_decoder": ("network.mask_decoder.",),
        "encoder": ENCODER,
        "lora": ("network.vision_encoder.*.lora_",),
        "all": (*ENCODER, "network.prompt_encoder.", "network.mask_decoder."),
    }

    def __init__(self, network: torch.nn.Module, frame: ImageTransform, single_mask: bool = False):
        super().__init__()
        self.network, self.frame, self.single_mask = network, frame, single_mask
        attention.without_waste(network)

    @abstractmethod
    def image_embeddings(self, features: Features) -> torch.Tensor | list[torch.Tensor]:
        """Features as the network's forward takes them."""

    @property
    def side(self) -> int:
        """Of the masks' logits and of a mask prompt, in pixels: four times that of the image embedding."""
        return 4 * self.network.prompt_encoder.image_embedding_size[0]

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

        Logits, because in training SAM is given back those of its own answer before (Kirillov et al. 2023, appendix A).
        """
        return MASK_LOGIT * (2 * F.adaptive_avg_pool2d(masks[:, None], self.side) - 1)

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
