"""The kinds of pictures that there are, and how each is made up."""

from dataclasses import dataclass

from world.outlines import OUTLINES, ROUND, STRANDS

FINE = (*STRANDS, "ring", "star", "cross", "crescent", "blob")


@dataclass(frozen=True)
class Kind:
    """How the pictures of a kind come out.

    gray: share of pictures without color; contrast: of what is in the picture, lowest and highest; noise: its
    deviation as a share of the contrast; soft: pixels over which an edge may run; areas: at most so many grounds;
    shapes: of things, where what stands twice is twice as likely; sizes: radii as shares of the shorter side; thin:
    what strokes' widths are times; parts: share of families with parts; alike: share of families that hardly differ
    from their ground; textured: whether surfaces may have a texture, and not only a color.
    """

    gray: float = 0.4
    contrast: tuple[float, float] = (0.45, 1.0)
    noise: tuple[float, float] = (0.0, 0.12)
    soft: float = 2.0
    areas: int = 4
    shapes: tuple[str, ...] = (*OUTLINES, *ROUND)
    sizes: tuple[float, float] = (0.025, 0.45)
    thin: tuple[float, float] = (0.7, 1.6)
    parts: float = 0.35
    alike: float = 0.2
    textured: bool = True


KINDS = {
    "general": Kind(),
    # Gray, faint, blurred and noisy, as instruments see that look into things.
    "faint": Kind(
        gray=1.0, contrast=(0.15, 0.5), noise=(0.06, 0.22), soft=4.0, sizes=(0.04, 0.4), parts=0.25, alike=0.3
    ),
    # Thin and ragged things, whose edge is most of them.
    "fine": Kind(shapes=FINE, noise=(0.0, 0.05), soft=0.5, sizes=(0.08, 0.45), thin=(0.4, 0.9), parts=0.15, alike=0.1),
    # Few and large things in clear colors: what is learned first.
    "flat": Kind(
        gray=0.0,
        contrast=(0.9, 1.0),
        noise=(0.0, 0.01),
        soft=0.3,
        areas=5,
        sizes=(0.25, 0.5),
        parts=0.0,
        alike=0.0,
        textured=False,
    ),
    # Things of all kinds, still in plain colors: what is learned next.
    "plain": Kind(
        gray=0.2,
        contrast=(0.8, 1.0),
        noise=(0.0, 0.02),
        soft=0.5,
        areas=3,
        sizes=(0.1, 0.45),
        parts=0.2,
        alike=0.0,
        textured=False,
    ),
}
