"""What a surface looks like: a color, a texture in a second one, and a slope of light across it."""

from dataclasses import dataclass, replace

import numpy as np

from world import colors, textures


@dataclass(frozen=True)
class Fill:
    """color, ink: RGB in [0, 1]; period: of the texture in pixels; slope: how much brighter one end is, in [-1, 1],
    towards `angle`."""

    color: np.ndarray
    ink: np.ndarray
    texture: str
    period: float
    slope: float
    angle: float

    @property
    def contrast(self) -> float:
        """Between color and ink, in luma."""
        return float(abs((self.color - self.ink) @ colors.LUMA))

    def paint(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """(height, width, 3) float32."""
        ink = textures.texture(rng, self.texture, height, width, self.period)[..., None]
        surface = self.color + (self.ink - self.color) * ink
        if self.slope:
            y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * np.float32(np.sin(self.angle))
            x = np.linspace(-0.5, 0.5, width, dtype=np.float32) * np.float32(np.cos(self.angle))
            surface = surface * (1 + self.slope * (x + y))[..., None]
        return surface.astype(np.float32)


def drawn(rng: np.random.Generator, size: float, name: str | None = None, texture: str | None = None) -> Fill:
    """A fill for a thing that is `size` pixels across, in any color and texture that are not given."""
    base = colors.drawn(rng, name or colors.NAMES[rng.integers(len(colors.NAMES))])
    luma = float(base @ colors.LUMA)
    # Ink of the same hue, so that the thing keeps its name: darker, or where there is room for it lighter.
    depth = rng.uniform(0.2, 0.75)
    lighter = base + (1 - base) * depth if luma < 0.25 or (luma < 0.5 and rng.random() < 0.3) else base * (1 - depth)
    if texture is None:
        texture = "plain" if rng.random() < 0.45 else textures.NAMES[rng.integers(len(textures.NAMES))]
    period = float(np.clip(size / rng.uniform(3, 10), 3.0, 40.0))
    slope = rng.uniform(-0.8, 0.8) if rng.random() < 0.35 else 0.0
    return Fill(base, lighter.astype(np.float32), texture, period, slope, rng.uniform(0, 2 * np.pi))


def near(rng: np.random.Generator, fill: Fill, share: float) -> Fill:
    """The same fill a little away: each channel by up to `share`, as two things of one kind differ."""
    moved = np.clip(fill.color + rng.uniform(-share, share) + rng.uniform(-share, share, 3) / 3, 0, 1)
    return replace(fill, color=moved.astype(np.float32), period=fill.period * rng.uniform(0.85, 1.15))


def towards(fill: Fill, other: np.ndarray, share: float) -> Fill:
    """The same fill with its colors moved towards another by a share in [0, 1]: what is hard to tell from it."""
    return replace(fill, color=fill.color + (other - fill.color) * share, ink=fill.ink + (other - fill.ink) * share)
