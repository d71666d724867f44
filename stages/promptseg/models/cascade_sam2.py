"""Text to outline with SAM 2: CLIPSeg's map of a phrase becomes prompts for it (`cascade`), and none is from the truth.

Released as its two networks: see models/clipseg.py and models/sam2.py.
"""

from pathlib import Path

from promptseg.inference import cascade
from promptseg.inference.cascade import Cascade
from promptseg.models import sam2
from promptseg.nn.segmenter import Segmenter

NETWORKS = ("clipseg", "sam2")


class CascadeSam2(Cascade):
    NAME = "cascade_sam2"
    REFINER = sam2


def create(size: str, seed: int) -> CascadeSam2:
    return cascade.create(CascadeSam2, size, seed)


def assemble(networks: list[Segmenter]) -> CascadeSam2:
    return CascadeSam2(*networks).eval()


def load(folder: Path, classes: int) -> CascadeSam2:
    return cascade.load(CascadeSam2, folder)
