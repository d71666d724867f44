"""Pairs of words that occur together in test phrases alone: a test of compositional generalization."""

from world import colors, textures
from world.attributes import SHAPES

# One color and one texture for each shape, in steps that use every color and every texture.
HELD_OUT = frozenset(
    {(colors.NAMES[(5 * i + 3) % len(colors.NAMES)], shape) for i, shape in enumerate(SHAPES)}
    | {(textures.NAMES[1 + i % (len(textures.NAMES) - 1)], shape) for i, shape in enumerate(SHAPES)}
)


def is_held_out(words: tuple[str, ...]) -> bool:
    """Whether two of these words are a held-out pair."""
    return any((first, second) in HELD_OUT for first in words for second in words)
