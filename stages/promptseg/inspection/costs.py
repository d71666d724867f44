"""What a run has to do, and the time that it takes."""

import math
from dataclasses import dataclass, field

from promptseg.core.units import format_bytes
from promptseg.inspection.look import Findings
from promptseg.inspection.tiling import Tiling

_FORWARDS = 3  # a backward pass through an encoder costs two forward passes


@dataclass(frozen=True)
class Speed:
    """What one image takes in a model on this machine.

    Attributes:
        encode: seconds of an image.
        decode: seconds of a prompt.
        step: seconds of training with a prompt; 0 where nothing is trainable.
        features: bytes of an image's features on the disk.
        memory: bytes at the peak of all that; 0: not measured.
    """

    encode: float
    decode: float
    step: float
    features: int = 0
    memory: int = 0

    def describe(self) -> str:
        """Describe it in a line."""
        step = f", training step {self.step:.2f} s" if self.step else ""
        bytes = f"; features {format_bytes(self.features)}, memory {format_bytes(self.memory)}" if self.memory else ""
        return f"encode {self.encode:.2f} s, decode {self.decode:.3f} s{step}{bytes}"


@dataclass(frozen=True)
class Amount:
    """How much a run has to do.

    Attributes:
        train: records to train on; val: to validate on; test: to predict.
        instances: in a record that has any, on average.
        classes: number of classes.
    """

    train: float
    val: float
    test: float
    instances: float
    classes: int


@dataclass
class Clock:
    """Seconds of runs; features of a split are computed once for all runs of a model."""

    speeds: dict[str, Speed]
    amount: Amount
    _encoded: set[tuple[str, str]] = field(default_factory=set)

    def encode(self, model: str, *splits: str) -> float:
        """Encoding of splits, but for those that were encoded before."""
        new = [split for split in splits if (model, split) not in self._encoded]
        self._encoded |= {(model, split) for split in new}
        return sum(getattr(self.amount, split) for split in new) * self.speeds[model].encode

    def predict(self, model: str, prompts: float) -> float:
        """Decoding of the test split, with so many prompts an image."""
        return self.amount.test * prompts * self.speeds[model].decode

    def search(self, model: str, prompts: float) -> float:
        """Decoding of the validation split, with so many prompts an image."""
        return self.amount.val * prompts * self.speeds[model].decode

    def train(self, model: str, epochs: int, prompts: float, share: float = 1.0) -> float:
        """Training on features, on a share of the training split."""
        speed = self.speeds[model]
        epoch = share * self.amount.train * speed.step + self.amount.val * speed.decode
        return epochs * epoch * prompts

    def train_encoder(self, model: str, epochs: int, prompts: float) -> float:
        """Training of the encoder, and the test: no features are the same in two epochs."""
        speed, amount = self.speeds[model], self.amount
        step = _FORWARDS * speed.encode + prompts * speed.step
        return epochs * (amount.train * step + amount.val * speed.encode) + amount.test * speed.encode


def amount(findings: Findings, cut: Tiling, max_images: int | None) -> Amount:
    """Estimate the records of each split, and the instances in one.

    Args:
        findings: of the folder.
        cut: whether images are tiled; tiles without any object are left out of training.
        max_images: records of each split; None: all.
    """
    height, width = findings.sides[1]
    tiles = math.ceil(height / cut.tile) * math.ceil(width / cut.tile) if cut.tile else 1
    filled = min(tiles, max(1.0, findings.instances_per_image)) if tiles > 1 else 1.0
    with_objects = 1 - findings.contents.empty / max(findings.contents.measured, 1)

    def records(split: str, per_image: float, share: float) -> float:
        count = findings.samples[split] * per_image * share
        return min(count, max_images) if max_images else count

    return Amount(
        records("train", filled, with_objects),
        records("val", filled, with_objects),
        records("test", tiles, 1.0),
        max(1.0, findings.instances_per_image / filled),
        len(findings.classes),
    )
