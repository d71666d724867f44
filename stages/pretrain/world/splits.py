"""Which words never stand together in a training phrase, so that a test can ask for what is new of what is known."""

from world import colors, textures
from world.looks import SHAPES

# One color and one texture of each shape, in steps that bring every color and every texture in.
HELD_OUT = frozenset(
    {(colors.NAMES[(5 * i + 3) % len(colors.NAMES)], shape) for i, shape in enumerate(SHAPES)}
    | {(textures.NAMES[1 + i % (len(textures.NAMES) - 1)], shape) for i, shape in enumerate(SHAPES)}
)


def held_out(words: tuple[str, ...]) -> bool:
    """Whether among these words are two that are kept apart in training."""
    return any((one, other) in HELD_OUT for one in words for other in words)
