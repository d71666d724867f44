"""Fill of a surface: a color, a texture in a second color, and linear shading."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from promptseg.synthetic import colors, noise

TEXTURES = ("plain", "striped", "dotted", "checkered", "grainy", "cloudy", "veined")


@dataclass(frozen=True)
class Fill:
    """Fill of a surface; the colors are (3,) RGB in [0, 1]."""

    color: np.ndarray
    texture_color: np.ndarray
    texture: str  # of TEXTURES
    period: float  # of the texture, pixels
    shading: float  # relative change of brightness from one end to the other, in [-1, 1]
    angle: float  # direction in which it changes, radians

    def paint(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """Render the surface, (height, width, 3) float32."""
        coverage = _texture(rng, self.texture, height, width, self.period)[..., None]
        surface = self.color + (self.texture_color - self.color) * coverage
        if self.shading:
            y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * np.float32(np.sin(self.angle))
            x = np.linspace(-0.5, 0.5, width, dtype=np.float32) * np.float32(np.cos(self.angle))
            surface = surface * (1 + self.shading * (x + y))[..., None]
        return surface.astype(np.float32)

    def jittered(self, rng: np.random.Generator, amount: float) -> "Fill":
        """Change each channel of the color by up to `amount`, as objects of one family differ."""
        color = np.clip(self.color + rng.uniform(-amount, amount) + rng.uniform(-amount, amount, 3) / 3, 0, 1)
        return replace(self, color=color.astype(np.float32), period=self.period * rng.uniform(0.85, 1.15))

    def blended(self, color: np.ndarray, amount: float) -> "Fill":
        """Move both colors towards another color by a share in [0, 1], which makes them hard to tell apart."""
        both = (each + (color - each) * amount for each in (self.color, self.texture_color))
        return replace(self, **dict(zip(("color", "texture_color"), both)))


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
        texture = "plain" if rng.random() < 0.45 else TEXTURES[rng.integers(len(TEXTURES))]
    period = float(np.clip(size / rng.uniform(3, 10), 3.0, 40.0))
    shading = rng.uniform(-0.8, 0.8) if rng.random() < 0.35 else 0.0
    return Fill(color, texture_color.astype(np.float32), texture, period, shading, rng.uniform(0, 2 * np.pi))


def _texture(rng: np.random.Generator, name: str, height: int, width: int, period: float) -> np.ndarray:
    """Coverage of a surface by its second color, (height, width) float32 in [0, 1]."""
    if name == "plain":
        return np.zeros((height, width), np.float32)
    if name == "grainy":
        small = rng.random((height // 2 + 1, width // 2 + 1), np.float32)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if name == "cloudy":
        return np.clip(1.6 * noise.cloudy(rng, height, width, 2 * period) - 0.3, 0, 1)
    if name == "veined":
        field = noise.cloudy(rng, height, width, 2.5 * period, 2)
        return np.clip(1.5 - np.abs(field - 0.5) * period * rng.uniform(1.5, 3), 0, 1)
    angle, (phase, other_phase) = rng.uniform(0, np.pi), rng.random(2)
    y, x = np.mgrid[:height, :width].astype(np.float32) / np.float32(period)
    if rng.random() < 0.3:  # warped a little
        x = x + noise.smooth(rng, height, width, 4 * period)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = x * cos + y * sin + np.float32(phase), y * cos - x * sin + np.float32(other_phase)
    if name == "striped":
        return np.clip(np.sin(2 * np.pi * along) * period / 2 + 0.5, 0, 1)
    if name == "checkered":
        return ((np.floor(2 * along) + np.floor(2 * across)) % 2).astype(np.float32)
    return np.clip((0.3 - np.hypot(along % 1 - 0.5, across % 1 - 0.5)) * period + 0.5, 0, 1)
