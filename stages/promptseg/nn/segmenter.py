"""The contract between models and everything generic: embedding cache, inference, training."""

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch

from promptseg.core.errors import UserError
from promptseg.core.train_config import Train
from promptseg.nn.image_transform import ImageTransform
from promptseg.prompts import Prompt, PromptConfig

Features = dict[str, torch.Tensor]
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class LossContext:
    """Loss and targets for the m = n * p masks of a batch of n images.

    Attributes:
        loss: of training.losses: logits, targets, weights, each (m, h, w) -> (m,).
        targets: side -> targets in [0, 1] and weights over the input, each (m, side, side).
        epoch: 1, 2, ... in training, 0 in validation.
        seeds: for each image one that is new in each epoch.
    """

    loss: Loss
    targets: Callable[[int], tuple[torch.Tensor, torch.Tensor]]
    epoch: int
    seeds: list[int]


class Detections(NamedTuple):
    """Boxes that a detector finds for one prompt, by falling score.

    Attributes:
        boxes: (k, 4) float32, x0, y0, x1, y1: the edges of the box, so that it is x1 - x0 wide.
        scores: (k,) float32 in [0, 1], as transformers' post-processing returns them.
        probability: (k,) float32 in [0, 1], as thresholds take it: 0.5 at the score from which on transformers keeps a
            box by default.
    """

    boxes: np.ndarray
    scores: np.ndarray
    probability: np.ndarray


class Segmenter(torch.nn.Module):
    """A promptable model: `decode(encode(images), prompts)`.

    Attributes:
        NAME: of the model, as in params.yaml.
        OFFICIAL: repository and commit of the released weights on the Hugging Face hub; without a commit the newest is
            taken; (None, None): it has none.
        RELEASED: name of the released file of tensors.
        BACKBONE: folder in promptseg/tiny that a tiny model without a checkpoint there is converted from; else empty.
        MODALITY: "image", or "point_cloud" for clouds stored as (points, 2, 3) images of equally many points; their
            logits are by point, (n, p, points, 2), and the transform is depth_maps.Views.
        PROMPTS: kinds of prompts that it takes, as PromptConfig.kind names them.
        READOUTS: what PromptConfig.readout may be, the default first; empty where there is no choice.
        JOINS_PHRASES: whether it can read several phrases as one prompt.
        TRAINABLE: what can be trained: name -> prefixes of parameters' names, in which * matches anything.
        TRAIN_DEFAULTS: settings of `train` where params.yaml gives none.
        ENCODER: prefixes of the parameters that `encode` uses; empty where it uses none.
        LORA_TARGETS: suffixes of the linear layers and 1 x 1 convolutions that get low-rank adapters with
            trainable `lora`.
        CACHED: whether the output of `encode` is cached on disk.
        DETECTS: whether the model finds boxes by `detect`, which `fill` makes its masks of (nn.detector).
        PRETEXT: prefixes of the parameters that `pretext_loss` trains; empty where the model has no pretext task.
        transform: from images to the model's input.
        encoder_trainable: whether `set_trainable` made a parameter of the encoder trainable.
        encoder_precision: of `encode`, see nn.precision.
    """

    NAME: ClassVar[str]
    OFFICIAL: ClassVar[tuple[str, str | None] | tuple[None, None]] = (None, None)
    RELEASED: ClassVar[str] = "model.safetensors"
    BACKBONE: ClassVar[str] = ""
    MODALITY: ClassVar[str] = "image"
    PROMPTS: ClassVar[frozenset[str]]
    READOUTS: ClassVar[tuple[str, ...]] = ()
    JOINS_PHRASES: ClassVar[bool] = False
    TRAINABLE: ClassVar[dict[str, tuple[str, ...]]] = {}
    TRAIN_DEFAULTS: ClassVar[dict[str, Any]] = {}
    ENCODER: ClassVar[tuple[str, ...]] = ()
    LORA_TARGETS: ClassVar[tuple[str, ...]] = ()
    CACHED: ClassVar[bool] = True
    DETECTS: ClassVar[bool] = False
    PRETEXT: ClassVar[tuple[str, ...]] = ()
    transform: ImageTransform
    encoder_trainable: bool = False
    encoder_precision: Literal["fp32", "bf16"] = "fp32"

    @classmethod
    @abstractmethod
    def create(cls, size: str, seed: int) -> Self:
        """Create a model with random weights.

        Args:
            size: "tiny", or "full" as released.
            seed: of the weights.

        Raises:
            UserError: the full model is of no use with random weights.
        """

    @classmethod
    def convert(cls, source: Path) -> Self:
        """Build a model from released files.

        Args:
            source: folder in the layout of the hub, or a single file.

        Raises:
            UserError: the files are missing or do not fit, or nothing is released, as by default.
        """
        remedy = f"set models.{cls.NAME}.source to tiny or leave it out"
        raise UserError(f"{source}: {cls.NAME} has no released weights; {remedy}")

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, classes: int) -> Self:
        """Load one of our own checkpoints.

        Args:
            folder: of the checkpoint, as `nn.weights` writes it.
            classes: number of classes of the dataset; a last layer for another number gets new weights, seeded by it.

        Raises:
            UserError: a file is missing or changed, or its tensors do not fit.
        """

    @abstractmethod
    def encode(self, images: list[np.ndarray]) -> Features:
        """Compute prompt-free features, in `encoder_context`.

        Args:
            images: n arrays (h, w) or (h, w, 3) uint8 of any sizes.

        Returns:
            Tensors (n, ...) float32 by name.
        """

    @abstractmethod
    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        """Predict a mask for each prompt.

        Args:
            features: of n images.
            prompts: for each image the same number p of prompts, in pixels of the input. All are of the same kind;
                in training those of points have the same number of them.

        Returns:
            Logits (n, p, side, side) over the input.
        """

    def refine(self, features: Features, prompts: list[Prompt], logits: torch.Tensor) -> torch.Tensor:
        """Predict masks again, given the last prediction. Only models that take clicks have it.

        Args:
            features: of one image.
            prompts: p prompts in pixels of the input, with equally many points.
            logits: (p, side, side) of the last prediction.

        Returns:
            Logits (p, side, side) over the input.
        """
        raise NotImplementedError

    def detect(self, features: Features, prompts: list[list[Prompt]]) -> list[list[Detections]]:
        """Find boxes for each prompt, in pixels of the input; arguments as of `decode`. Only models with DETECTS."""
        raise NotImplementedError

    def fill(self, found: list[Detections]) -> torch.Tensor:
        """Fill the boxes of p prompts, each with the logit of its probability. Only models with DETECTS have it.

        Returns:
            Logits (p, side, side) over the input; where boxes overlap, of the highest score.
        """
        raise NotImplementedError

    @abstractmethod
    def configuration(self) -> dict:
        """config.json of a checkpoint: what `load` needs besides the tensors."""

    def files(self) -> dict[str, bytes]:
        """Contents of further files of the checkpoint by name, such as a tokenizer's."""
        return {}

    def compute_loss(
        self, features: Features, prompts: list[list[Prompt]], context: LossContext
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict a batch and compute its losses; a model may add terms of its own.

        Args:
            features: of n images.
            prompts: as in `decode`.
            context: loss and targets.

        Returns:
            Logits (m, side, side) float32 and losses (m,).
        """
        logits = self.decode(features, prompts).flatten(0, 1).float()
        return logits, context.loss(logits, *context.targets(logits.shape[-1]))

    def pretext_loss(self, features: Features) -> torch.Tensor:
        """Compute the losses (n,) of the pretext task, which needs no masks. Only models with PRETEXT have it."""
        raise NotImplementedError

    def prepare_finetuned(self) -> None:
        """Switch to fine-tuned behavior, before training and after fine-tuned weights are loaded."""

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return next(self.parameters()).device

    @classmethod
    def check_modality(cls, modality: str, dataset: str) -> None:
        """Raise UserError unless the model takes what a dataset holds ("image" or "point_cloud")."""
        if modality != cls.MODALITY:
            takes, holds = (name.replace("_", " ") + "s" for name in (cls.MODALITY, modality))
            raise UserError(f"params.yaml: {cls.NAME} takes {takes}, and {dataset} holds {holds}")

    @classmethod
    def check_prompt(cls, config: PromptConfig) -> None:
        """Raise UserError unless the model takes such prompts."""
        if config.model_kind not in cls.PROMPTS:
            what = f"takes no {config.kind} prompt" if config.kind != "none" else "needs a prompt"
            raise UserError(f"params.yaml: {cls.NAME} {what}; it takes {', '.join(sorted(cls.PROMPTS))}")
        if config.readout and config.readout not in cls.READOUTS:
            raise UserError(f"params.yaml: {cls.NAME} has no readout {config.readout!r}; leave it out")
        if config.together and config.text is not None:
            cls.check_joins_phrases("together", "params.yaml: ")

    @classmethod
    def check_joins_phrases(cls, setting: str, where: str = "") -> None:
        """Raise UserError, naming the setting that asks for it, unless the model can read phrases as one prompt."""
        if not cls.JOINS_PHRASES:
            raise UserError(f"{where}{cls.NAME} reads each phrase by itself; leave out {setting}")

    @classmethod
    def check_trainable(cls, names: list[str] | None) -> None:
        """Raise UserError unless the model has all these trainable parts, and at least one is named."""
        if not cls.TRAINABLE:
            raise UserError(f"params.yaml: {cls.NAME} has nothing to train; use it under zero_shot")
        unknown = [name for name in names or [] if name not in cls.TRAINABLE]
        if unknown or not names:
            what = f"has no trainable {unknown[0]!r}" if unknown else "needs something in train.trainable"
            raise UserError(f"params.yaml: {cls.NAME} {what}; known: {', '.join(cls.TRAINABLE)}")
        for name in names:
            if "lora" in names and name != "lora" and cls.trains_encoder(name):
                raise UserError(f"params.yaml: {cls.NAME}: lora and {name} both train the encoder; name one of them")

    @classmethod
    def trains_encoder(cls, name: str) -> bool:
        """Whether a trainable part changes the output of `encode`, so that features cannot be cached."""
        return any(prefix.startswith(cls.ENCODER) for prefix in cls.TRAINABLE[name])

    @classmethod
    def check_training(cls, config: Train) -> None:
        """Raise UserError unless the model can be trained with these settings, its defaults filled in."""
        cls.check_prompt(config.prompt)
        cls.check_trainable(config.trainable)
        if config.pretext_epochs and not cls.PRETEXT:
            raise UserError(f"params.yaml: {cls.NAME} has no pretext task; leave out train.pretext_epochs")

    def set_trainable(self, names: list[str]) -> list[str]:
        """Freeze all but these trainable parts; for `lora` the adapters must be attached already (nn.lora).

        Returns:
            Names of the trainable parameters.

        Raises:
            UserError: a name is unknown.
        """
        self.check_trainable(names)
        return self.set_trainable_prefixes(tuple(prefix for name in names for prefix in self.TRAINABLE[name]))

    def set_trainable_prefixes(self, prefixes: tuple[str, ...]) -> list[str]:
        """Freeze all parameters but those with these prefixes; returns the names of the trainable ones."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(any(fnmatchcase(name, f"{prefix}*") for prefix in prefixes))
        trainable = [name for name, parameter in self.named_parameters() if parameter.requires_grad]
        self.encoder_trainable = any(name.startswith(self.ENCODER) for name in trainable)
        return trainable

    @contextlib.contextmanager
    def encoder_context(self) -> Iterator[None]:
        """Context in which `encode` runs.

        Gradients are recorded only where they are enabled and the encoder is trainable. With `encoder_precision`
        "bf16", operations that torch.autocast covers are computed in bfloat16; weights stay float32.
        """
        precision = contextlib.nullcontext()  # autocast that surrounds a training step stays in force
        if self.encoder_precision == "bf16":
            precision = torch.autocast(self.device.type, torch.bfloat16)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.encoder_trainable), precision:
            yield
