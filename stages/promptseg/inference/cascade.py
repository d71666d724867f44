"""Text to outline: CLIPSeg finds where something is, a model of the SAM family draws its edge.

CLIPSeg's probabilities for a phrase (or a support picture) fall into components, each of which becomes a prompt
(`refining`), and the masks that answer them are united. So SAM is asked in words, and no prompt is taken from the
truth. Nothing is trained here: fine-tune either network by itself.

A model is a class that names its refiner, a module with an `SamSegmenter`, and a few lines as in models/cascade_sam.py.
"""

from pathlib import Path
from types import ModuleType
from typing import ClassVar

import cv2
import numpy as np
import torch

from promptseg.core import params
from promptseg.inference import refine_prompts
from promptseg.models import clipseg
from promptseg.nn import batch_sizes, weights
from promptseg.nn.segmenter import Features, SamSegmenter, Segmenter
from promptseg.prompts import Prompt

NOTHING = -20.0  # logits where no component was found: a probability of 2e-9


class Cascade(Segmenter):
    PROMPTS = clipseg.ClipSeg.PROMPTS
    PARTS = {}
    REFINES = True
    REFINER: ClassVar[ModuleType]

    def __init__(self, words: clipseg.ClipSeg, refiner: SamSegmenter):
        super().__init__()
        self.words, self.refiner, self.frame = words, refiner, refiner.frame

    def encode(self, images: list[np.ndarray]) -> Features:
        """The features of both networks, and `content`, (n, 2): height and width that a picture takes in the frame.

        Those are whole and at most 2048, so that half precision keeps them.
        """
        contents = [self.frame.content(*image.shape[:2]) for image in images]
        return {
            **{f"words_{name}": values for name, values in self.words.encode(images).items()},
            **{f"refiner_{name}": values for name, values in self.refiner.encode(images).items()},
            "content": torch.tensor(contents, dtype=torch.float32, device=self.device),
        }

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        maps = torch.sigmoid(self.words.decode(_of(features, "words_"), prompts).float()).cpu().numpy()
        return torch.stack(
            [
                self.refine({name: values[i : i + 1] for name, values in features.items()}, found, asked)
                for i, (found, asked) in enumerate(zip(maps, prompts))
            ]
        )

    def refine(self, features: Features, maps: np.ndarray, asked: list[Prompt]) -> torch.Tensor:
        """Coarse maps of one picture -> the logits of their outlines, (p, side, side) over the frame.

        features: of the picture, from `encode`; maps: (p, s, s) float32 in [0, 1], over the picture as CLIPSeg's
        square has it; asked: what led to each. Where a map has no component the logits are NOTHING.
        """
        content = features["content"][0].round().int().tolist()
        questions, owners = [], []
        for owner, (probability, prompt) in enumerate(zip(maps, asked)):
            found = refine_prompts.prompts(probability, prompt.refine or params.Refine())
            questions += [self._in_frame(one, content, maps.shape[1:]) for one in found]
            owners += [owner] * len(found)
        side = self.refiner.side
        out = torch.full((len(maps), side, side), NOTHING, device=self.device)
        seen = _of(features, "refiner_")
        together = batch_sizes.at_once(batch_sizes.PROMPTS, self.device)
        for start in range(0, len(questions), together):
            batch = slice(start, start + together)
            for owner, logits in zip(owners[batch], self.refiner.decode(seen, [questions[batch]])[0]):
                out[owner] = torch.maximum(out[owner], logits)
        return out

    def _in_frame(self, prompt: Prompt, content: list[int], of: tuple[int, int]) -> Prompt:
        """A prompt in the pixels of a map of size `of`, which spans the picture, in those of the refiner's frame."""
        scale = np.array(content[::-1]) / of[::-1]
        mask = None
        if prompt.mask is not None:
            mask = np.zeros((self.frame.size, self.frame.size), np.float32)
            mask[: content[0], : content[1]] = cv2.resize(prompt.mask, content[::-1], interpolation=cv2.INTER_LINEAR)
        return Prompt(
            points=None if prompt.points is None else prompt.points * scale,
            labels=prompt.labels,
            box=None if prompt.box is None else prompt.box * np.tile(scale, 2),
            mask=mask,
        )

    def configuration(self) -> dict:
        return {"model": self.NAME, "words": self.words.configuration(), "refiner": self.refiner.configuration()}

    def files(self) -> dict[str, bytes]:
        return self.words.files()


def create(kind: type[Cascade], size: str, seed: int) -> Cascade:
    return kind(clipseg.create(size, seed), kind.REFINER.create(size, seed)).eval()


def load(kind: type[Cascade], folder: Path) -> Cascade:
    config, tensors = weights.read(folder)
    words = clipseg.restore(config["words"], _of(tensors, "words."), folder)
    refiner = kind.REFINER.restore(config["refiner"], _of(tensors, "refiner."), folder)
    return kind(words, refiner).eval()


def _of(tensors: dict[str, torch.Tensor], beginning: str) -> dict[str, torch.Tensor]:
    """Those of one network, under the names that it gave them."""
    return {name.removeprefix(beginning): value for name, value in tensors.items() if name.startswith(beginning)}
