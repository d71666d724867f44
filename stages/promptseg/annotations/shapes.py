"""Annotations that are outlines or run lengths, and the masks that they make."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Shape:
    """One annotated area of an image.

    Attributes:
        label: name of the class, as the file has it.
        rings: outlines, each (n, 2) float64 x and y in pixels, pixel i covering [i, i + 1); the area is their union,
            where `holes` are cut out afterwards.
        holes: outlines that are cut out of the rings.
        mask: (h, w) bool of an area that is given by pixels, at `top`, `left`; None where rings are.
        top: first row of `mask` in the image.
        left: first column of `mask`.
        rle: an area as COCO's run lengths of the whole image (`data.rle`), which take a fraction of the memory of
            `mask`; None where rings or a mask are.
        instance: number of the instance that the shape is a part of, where several shapes are one; None: its own.
        ignored: whether its pixels are excluded from training and scores (crowds of COCO).
        at: where in the file it stands, for messages ("annotation 17").
    """

    label: str
    rings: tuple[np.ndarray, ...] = ()
    holes: tuple[np.ndarray, ...] = ()
    mask: np.ndarray | None = None
    top: int = 0
    left: int = 0
    instance: int | None = None
    ignored: bool = False
    at: str = ""
    rle: dict | None = None


@dataclass(frozen=True, slots=True)
class Annotated:
    """The annotations of one image.

    Attributes:
        image: name of the image's file as the annotation file has it, a path relative to some folder; "" where the
            format names none (the annotation file then has the image's name with another suffix).
        height: of the image as the file has it, in pixels; None where it does not say.
        width: likewise.
        shapes: in the order in which they lie on each other, the topmost last.
        normalized: whether coordinates are shares of width and height instead of pixels.
        skipped: annotations that are no areas (lines, points) and so are left out.
    """

    image: str
    height: int | None
    width: int | None
    shapes: tuple[Shape, ...]
    normalized: bool = False
    skipped: int = 0
