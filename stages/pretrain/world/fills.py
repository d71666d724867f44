"""Fill of a surface: a color, a texture in a second color, and linear shading."""

from dataclasses import dataclass, replace

import numpy as np

from world import colors, textures


@dataclass(frozen=True)
class Fill:
    """Fill of a surface.

    Attributes:
        color, texture_color: (3,) RGB in [0, 1].
        texture: name, of `textures.NAMES`.
        period: of the texture, pixels.
        shading: relative change of brightness from one end to the other, in [-1, 1].
        angle: direction in which it changes, radians.
    """

    color: np.ndarray
    texture_color: np.ndarray
    texture: str
    period: float
    shading: float
    angle: float

    def paint(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """Render the surface, (height, width, 3) float32."""
        coverage = textures.render_texture(rng, self.texture, height, width, self.period)[..., None]
        surface = self.color + (self.texture_color - self.color) * coverage
        if self.shading:
            y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * np.float32(np.sin(self.angle))
            x = np.linspace(-0.5, 0.5, width, dtype=np.float32) * np.float32(np.cos(self.angle))
            surface = surface * (1 + self.shading * (x + y))[..., None]
        return surface.astype(np.float32)


def sample_fill(
    rng: np.random.Generator, size: float, color_name: str | None = None, texture: str | None = None
) -> Fill:
    """Sample a fill for a surface of about `size` pixels; a color name or texture that is not given is random."""
    color = colors.sample_color(rng, color_name or colors.NAMES[rng.integers(len(colors.NAMES))])
    luma = float(color @ colors.LUMA)
    # The texture has the same hue, so that the color's name still holds: darker, or lighter where there is room.
    depth = rng.uniform(0.2, 0.75)
    lighter = luma < 0.25 or (luma < 0.5 and rng.random() < 0.3)
    texture_color = color + (1 - color) * depth if lighter else color * (1 - depth)
    if texture is None:
        texture = "plain" if rng.random() < 0.45 else textures.NAMES[rng.integers(len(textures.NAMES))]
    period = float(np.clip(size / rng.uniform(3, 10), 3.0, 40.0))
    shading = rng.uniform(-0.8, 0.8) if rng.random() < 0.35 else 0.0
    return Fill(color, texture_color.astype(np.float32), texture, period, shading, rng.uniform(0, 2 * np.pi))


def jitter_fill(rng: np.random.Generator, fill: Fill, amount: float) -> Fill:
    """Change each channel of the color by up to `amount`, as objects of one family differ."""
    color = np.clip(fill.color + rng.uniform(-amount, amount) + rng.uniform(-amount, amount, 3) / 3, 0, 1)
    return replace(fill, color=color.astype(np.float32), period=fill.period * rng.uniform(0.85, 1.15))


def blend_fill(fill: Fill, color: np.ndarray, amount: float) -> Fill:
    """Move both colors of a fill towards another color by a share in [0, 1], which makes them hard to tell apart."""
    return replace(
        fill,
        color=fill.color + (color - fill.color) * amount,
        texture_color=fill.texture_color + (color - fill.texture_color) * amount,
    )
