"""Text to outline with SAM: CLIPSeg's map of a phrase becomes prompts for it (`cascade`), and none is from the truth.

Released as its two networks: see models/clipseg.py and models/sam.py.
"""

from pathlib import Path

from promptseg.inference import cascade
from promptseg.inference.cascade import Cascade
from promptseg.models import sam
from promptseg.nn.segmenter import Segmenter

NETWORKS = ("clipseg", "sam")


class CascadeSam(Cascade):
    NAME = "cascade_sam"
    REFINER = sam


def create(size: str, seed: int) -> CascadeSam:
    return cascade.create(CascadeSam, size, seed)


def assemble(networks: list[Segmenter]) -> CascadeSam:
    return CascadeSam(*networks).eval()


def load(folder: Path, classes: int) -> CascadeSam:
    return cascade.load(CascadeSam, folder)
