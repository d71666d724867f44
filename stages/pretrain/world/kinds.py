"""The kinds of images and how each is composed."""

from dataclasses import dataclass

from world.outlines import OUTLINES, ROUND, STRANDS

FINE_SHAPES = (*STRANDS, "ring", "star", "cross", "crescent", "blob")


@dataclass(frozen=True)
class Kind:
    """Composition of the images of a kind.

    Attributes:
        gray: share of images without color.
        contrast: range of the image's contrast.
        noise: range of the noise's standard deviation, as a share of the contrast.
        max_edge_blur: largest sigma of objects' edges, pixels.
        max_backgrounds: largest number of background regions.
        shapes: of objects; a shape that is listed twice is twice as likely.
        radii: range of objects' radii, as shares of the image's shorter side.
        stroke_scale: range of the factor by which strokes' widths are multiplied.
        composite: share of families whose objects have several parts.
        camouflaged: share of families whose color is close to the background's.
        textured: whether surfaces may have a texture.
    """

    gray: float = 0.4
    contrast: tuple[float, float] = (0.45, 1.0)
    noise: tuple[float, float] = (0.0, 0.12)
    max_edge_blur: float = 2.0
    max_backgrounds: int = 4
    shapes: tuple[str, ...] = (*OUTLINES, *ROUND)
    radii: tuple[float, float] = (0.025, 0.45)
    stroke_scale: tuple[float, float] = (0.7, 1.6)
    composite: float = 0.35
    camouflaged: float = 0.2
    textured: bool = True


# The position of a kind seeds its images (rendering.py): add new ones at the end.
KINDS = {
    "general": Kind(),
    # Gray, low in contrast, blurred and noisy, as in medical imaging.
    "faint": Kind(
        gray=1.0,
        contrast=(0.15, 0.5),
        noise=(0.06, 0.22),
        max_edge_blur=4.0,
        radii=(0.04, 0.4),
        composite=0.25,
        camouflaged=0.3,
    ),
    # Thin and ragged objects, most of whose pixels lie at their boundary.
    "fine": Kind(
        shapes=FINE_SHAPES,
        noise=(0.0, 0.05),
        max_edge_blur=0.5,
        radii=(0.08, 0.45),
        stroke_scale=(0.4, 0.9),
        composite=0.15,
        camouflaged=0.1,
    ),
    # Few and large objects in saturated colors: the first epochs of a curriculum.
    "flat": Kind(
        gray=0.0,
        contrast=(0.9, 1.0),
        noise=(0.0, 0.01),
        max_edge_blur=0.3,
        max_backgrounds=5,
        radii=(0.25, 0.5),
        composite=0.0,
        camouflaged=0.0,
        textured=False,
    ),
    # Objects of all shapes without textures: the next epochs.
    "plain": Kind(
        gray=0.2,
        contrast=(0.8, 1.0),
        noise=(0.0, 0.02),
        max_edge_blur=0.5,
        max_backgrounds=3,
        radii=(0.1, 0.45),
        composite=0.2,
        camouflaged=0.0,
        textured=False,
    ),
}
