"""Generated photos of wildfires: land, sky, smoke, flames, and orange objects that are not fire.

A Scene is rendered once on a canvas larger than its frames; each frame moves the flames and lets the camera drift.
Colors are RGB, float32, 1 is white (light may exceed it), until the camera turns them into uint8.
"""

import cv2
import numpy as np

from promptseg.datasets.fires.recipes import LANDS, LIGHTS, PROPS, SKIES, Recipe
from promptseg.synthetic.noise import noise, ridge, smoothstep

MARGIN = 16  # pixels of canvas around a frame, for the drift of the camera
FLAME = 0.22  # heat above which a pixel is flame
_HEAT = (0.0, 0.22, 0.4, 0.6, 0.85, 1.15, 1.5)
_FLAME_RGB = (  # color at each of these: from the dark red rim to the overexposed core
    (0.35, 0.05, 0.02), (0.62, 0.15, 0.04), (0.82, 0.28, 0.06), (0.95, 0.46, 0.1),
    (1.0, 0.68, 0.22), (1.0, 0.87, 0.5), (1.0, 0.97, 0.86),
)  # fmt: skip


class Scene:
    """A scene with fires; `frame` renders it at a time."""

    def __init__(self, rng: np.random.Generator, recipe: Recipe):
        self.rng, self.recipe = rng, recipe
        self.width, self.height = recipe.size
        self.h, self.w = self.height + 2 * MARGIN, self.width + 2 * MARGIN
        self.y, self.x = np.mgrid[: self.h, : self.w].astype(np.float32)
        self.ambient = np.array(LIGHTS[recipe.light], np.float32)
        self._draw_land()
        self._place_fires()
        self._draw_foreground()
        self._swirl = [noise(rng, self.h + 160, self.w, s, 4, 1.7) for s in (0.16 * self.height, 0.09 * self.height)]
        self._wander = noise(rng, self.h + 160, self.w, 0.14 * self.height, 3)
        self._billow = noise(rng, self.h + 80, self.w + 80, 0.3 * self.height, 6)
        self.tint = 1 + rng.normal(0, 0.035, 3).astype(np.float32)
        self.grain = rng.uniform(0.006, 0.018)
        self.drift = rng.uniform(-3, 3, 2)
        self.seed = int(rng.integers(2**32))

    def frame(self, t: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Render image (h, w, 3), near infrared (h, w) and mask (h, w) of 0 and 255, all uint8, at frame `t`."""
        heat = self._heat(t)
        flame = smoothstep(heat, FLAME - 0.09, FLAME + 0.09)
        glow = _blur(flame, 0.05 * self.h) * 0.8 + _blur(flame, 0.22 * self.h) * 1.6
        warm = glow[..., None] * np.array((1.0, 0.46, 0.15), np.float32)
        image = np.where(self.sky[..., None], self.albedo, self.albedo * (self.ambient + warm))
        colors = np.stack([np.interp(heat * self.recipe.heat, _HEAT, channel) for channel in zip(*_FLAME_RGB)], -1)
        image += (colors.astype(np.float32) - image) * flame[..., None]
        image += _blur(flame, 0.02 * self.h)[..., None] * np.array((0.16, 0.07, 0.01), np.float32)  # in the lens
        veil, billow = self._smoke(t, flame)
        gray = np.array((1.0, 0.97, 0.93), np.float32) * (self.recipe.soot * (0.6 + 0.4 * billow))[..., None]
        image += (gray * (self.ambient * 1.05 + 0.9 * warm) - image) * veil[..., None]
        cover = self.cover[..., None]
        image += (self.front * (self.ambient + 0.35 * warm) + self.lamps - image) * cover
        self._sparks(image, t)
        mask = (flame > 0.5) & (veil < 0.8) & (self.cover < 0.5)
        near = 0.55 * image[..., 1] + 0.25 * image[..., 0] + 0.6 * flame
        return self._camera(t, image, near, mask)

    def _draw_land(self) -> None:
        rng, r = self.rng, self.recipe
        top, bottom = (np.array(c, np.float32) for c in SKIES[r.sky])
        slope = rng.uniform(-0.12, 0.12) * (self.x[0] - self.w / 2)
        edge = MARGIN + r.horizon * self.height + slope + ridge(rng, self.w, 0.06 * self.h)
        share = np.clip(self.y / max(edge.mean(), 1), 0, 1)[..., None] ** 1.5
        clouds = smoothstep(noise(rng, self.h, self.w, 0.35 * self.w, 5), 0.55, 0.95)[..., None]
        self.albedo = top + (bottom - top) * share
        self.albedo += (bottom * 1.08 - self.albedo) * clouds * 0.8
        self.sky, self.edge = self.y < edge, edge
        self._lay(self.y >= edge, r.land, 0.02)
        if r.trees:
            for depth in (0.0, 0.35, 0.75):  # far and hazy to near and dark
                tall = r.tree_height * self.height * (0.5 + depth)
                crowns = np.abs(ridge(rng, self.w, 0.8, 0.06 + 0.1 * depth)) + np.abs(ridge(rng, self.w, 0.25, 0.012))
                tops = edge + depth * 0.3 * self.height - tall * (0.4 + crowns)
                foot = edge + 2 + depth * 0.35 * self.height + np.abs(ridge(rng, self.w, 0.03 * self.h))
                there = (self.y > tops) & (self.y < foot)
                self._lay(there, r.trees, 0.012 + 0.015 * depth, shade=1.15 - 0.5 * depth, haze=0.35 * (1 - depth) ** 2)
                self.sky &= ~there

    def _lay(self, where: np.ndarray, land: str, grain: float, shade: float = 1.0, haze: float = 0.0) -> None:
        """Cover `where` with a texture that grows coarser towards the camera."""
        rng = self.rng
        dark, bright = (np.array(c, np.float32) for c in LANDS[land])
        fine, coarse = (noise(rng, self.h, self.w, max(2.0, grain * s * self.h), 3) for s in (0.5, 2.0))
        near = np.clip((self.y - self.edge) / (self.h - self.edge.mean()), 0, 1)
        mix = 0.45 * (fine * (1 - near) + coarse * near) + 0.55 * noise(rng, self.h, self.w, 0.2 * self.h, 4)
        speckle = rng.normal(0, 0.1, (self.h, self.w)).astype(np.float32)
        color = (dark + (bright - dark) * smoothstep(mix + speckle, 0.15, 0.85)[..., None]) * shade
        color = color + (np.array(SKIES[self.recipe.sky][1], np.float32) - color) * haze
        self.albedo[where] = color[where]

    def _place_fires(self) -> None:
        """Each front: foot (w,), height of its flames (w,), lean; all in pixels of the canvas."""
        rng, (count, tall, wide) = self.rng, self.recipe.fires
        self.fronts = []
        for _ in range(count):
            half = wide * self.height * rng.uniform(0.3, 0.65)
            center = rng.uniform(MARGIN + 0.12 * self.width, MARGIN + 0.88 * self.width)
            low = float(np.interp(center, self.x[0], self.edge))
            down = rng.uniform(0.1, 0.8)  # from the horizon to the lower border
            foot = low + (self.h - MARGIN - low) * down + rng.uniform(-0.12, 0.12) * (self.x[0] - center)
            foot = foot + ridge(rng, self.w, 0.02 * self.h, 0.05) + ridge(rng, self.w, 0.012 * self.h, 0.01)
            inside = np.clip(1 - np.abs(self.x[0] - center) / half, 0, 1) ** 0.4
            tongues = np.abs(ridge(rng, self.w, 1.0, 0.05)) * 0.5 + np.abs(ridge(rng, self.w, 1.0, 0.15)) * 0.7
            size = tall * self.height * (0.65 + 0.6 * down) * rng.uniform(0.6, 1.3)
            size = size * inside * (0.12 + np.clip(tongues, 0, 1.4))
            self.fronts.append((foot, size.astype(np.float32), rng.uniform(-0.5, 0.5), rng.uniform(0.7, 1.15)))

    def _heat(self, t: int) -> np.ndarray:
        """(h, w) >= 0: how hot the flames are; turbulence rises with t."""
        rows = [slice(at, at + self.h) for at in (17 * t, 11 * t)]
        swirl = 0.6 * self._swirl[0][rows[0]] + 0.4 * self._swirl[1][rows[1]] - 0.5
        wander = self._wander[rows[0]] - 0.5
        heat = np.zeros((self.h, self.w), np.float32)
        for foot, size, lean, power in self.fronts:
            above = np.clip(foot - self.y, 0, None)
            shifted = self.x - lean * above - wander * np.minimum(above, 0.25 * self.height) * 1.6
            column = np.clip(shifted, 0, self.w - 1).astype(np.int32)
            above, tall = foot[column] - self.y, size[column]
            rise = above / np.maximum(tall, 1.0)
            body = (1.25 - rise + swirl * (0.9 + 1.9 * np.clip(rise, 0, 1.2))) * power
            body *= smoothstep(above + 6 * swirl, -3.0, 2.0) * (tall > 1.5) * (rise < 1.9)
            heat = np.maximum(heat, body)
        return np.maximum(heat, 0)

    def _smoke(self, t: int, flame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Opacity and brightness (h, w) of the plumes that rise from the fires."""
        billow = self._billow[3 * t : 3 * t + self.h, 2 * t : 2 * t + self.w]
        source = np.zeros((self.h, self.w), np.float32)
        for foot, size, lean, _ in self.fronts:
            columns = np.flatnonzero(size > 1)
            rise = np.clip((foot[columns].mean() - self.y) / self.h, 0, 1)
            center, half = columns.mean(), 0.35 * np.ptp(columns) + 4
            away = np.abs(self.x - center - 1.6 * lean * rise * self.h) / (half + 0.45 * rise * self.h)
            source = np.maximum(source, np.clip(1.25 - away, 0, 1) * smoothstep(rise, 0.0, 0.12) * (1.1 - 0.5 * rise))
        veil = smoothstep(billow + 0.9 * source - 1.02 + 0.3 * self.recipe.smoke, 0.0, 0.45) * (source > 0)
        soft = cv2.GaussianBlur(billow, (0, 0), 0.012 * self.h)
        relief = soft - np.roll(soft, (-7, -5), (0, 1))  # lit from above
        haze = 0.18 * self.recipe.smoke * np.clip(_blur(source, 0.1 * self.h), 0, 1)
        veil = np.clip(np.maximum(veil * (0.5 + 0.5 * self.recipe.smoke), haze), 0, 0.96)
        return veil * (1 - 0.5 * flame), np.clip(0.35 + 1.8 * relief + 0.3 * billow, 0, 1)

    def _draw_foreground(self) -> None:
        """front: colors, cover: opacity, lamps: light of its own; objects in front of the flames."""
        rng, r = self.rng, self.recipe
        front, cover, lamps = (np.zeros((self.h, self.w, 3), np.uint8) for _ in range(3))
        ground = float(self.edge.mean())

        def stand(points, color, shines=False):
            for canvas, paint in ((front, color), (cover, (1, 1, 1))) + (((lamps, color),) if shines else ()):
                _polygon(canvas, points, paint)

        for _ in range(r.trunks):
            x, lean, thick = rng.uniform(0, self.w), rng.normal(0, 0.04 * self.h), rng.uniform(0.005, 0.025) * self.h
            foot = ground + (self.h - ground) * rng.uniform(0.15, 0.9)
            bark = rng.uniform(0.12, 0.5) * np.array((1.0, 0.92, 0.8))
            stand([(x, foot), (x + lean, 0), (x + lean + thick * 0.6, 0), (x + thick, foot)], bark)
        for _ in range(int(self.w * 0.7) if r.land in ("dry", "green", "scrub") else 0):  # blades of grass
            x, foot = rng.uniform(0, self.w), self.h - MARGIN - rng.uniform(-0.02, 0.03) * self.h
            tip = (x + rng.normal(0, 0.02 * self.h), foot - rng.uniform(0.02, 0.06) * self.h)
            straw = rng.uniform(0.5, 1) * np.array(LANDS[r.land][1])
            stand([(x - 1, foot + MARGIN), tip, (x + 1, foot + MARGIN)], straw)
        for place, kind in enumerate(r.props):
            at = np.array(((place + rng.uniform(0.2, 0.8)) / len(r.props), rng.uniform(0.72, 0.95)))
            at = at * (self.width, self.height) + MARGIN
            flip = rng.choice((-1, 1))
            for points, color, shines in PROPS[kind]:
                stand(np.array(points) * (flip * self.height, -self.height) + at, color, shines)
        texture = 0.8 + 0.4 * noise(rng, self.h, self.w, 4.0, 2)[..., None]
        self.front = front.astype(np.float32) / 255 * texture
        self.cover = cover[..., 0].astype(np.float32) / 255
        self.lamps = lamps.astype(np.float32) / 255
        self.lamps += np.stack([_blur(self.lamps[..., c], 4.0) for c in range(3)], -1)

    def _sparks(self, image: np.ndarray, t: int) -> None:
        """Embers over the flames: a few bright pixels, different in each frame, not in the mask."""
        rng = np.random.default_rng((self.seed, t))
        for foot, size, lean, _ in self.fronts:
            columns = np.flatnonzero(size > 3)
            for x in rng.choice(columns, min(len(columns), 12), replace=False):
                rise = size[x] * rng.uniform(0.9, 2.2)
                row, column = int(foot[x] - rise), int(x + lean * rise)
                if 1 <= row < self.h - 1 and 1 <= column < self.w - 1:
                    image[row, column] = (1.0, 0.6, 0.2)

    def _camera(
        self, t: int, image: np.ndarray, near: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Drift, vignette, tint, grain, and JPEG artifacts; mask 0 and 255."""
        rng = np.random.default_rng((self.seed, t, 1))
        top, left = (MARGIN + int(round(s * t)) for s in self.drift)
        frame = np.s_[top : top + self.height, left : left + self.width]
        far = np.hypot(*(np.mgrid[-1 : 1 : self.height * 1j, -1 : 1 : self.width * 1j])).astype(np.float32)
        exposed = cv2.GaussianBlur(image[frame], (0, 0), 0.6) * (1.04 - 0.12 * far**2)[..., None] * self.tint
        exposed = np.sqrt(np.clip(exposed, 0, 1)) if self.recipe.light == "night" else np.clip(exposed, 0, 1)
        exposed = exposed + rng.normal(0, self.grain, exposed.shape[:2] + (1,)).astype(np.float32)
        pressed = cv2.imencode(".jpg", _bytes(exposed)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
        visible = np.ascontiguousarray(cv2.imdecode(pressed, cv2.IMREAD_COLOR)[..., ::-1])
        return visible, _bytes(cv2.GaussianBlur(near[frame], (0, 0), 0.8)), mask[frame].astype(np.uint8) * 255


def _bytes(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Apply a Gaussian blur to (h, w), at a quarter of the size where sigma is large."""
    h, w = values.shape
    if sigma < 8:
        return cv2.GaussianBlur(values, (0, 0), max(sigma, 0.1))
    small = cv2.resize(values, (max(w // 4, 1), max(h // 4, 1)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 4), (w, h), interpolation=cv2.INTER_LINEAR)


def _polygon(canvas: np.ndarray, points: np.ndarray, color) -> None:
    """Fill a polygon (n, 2) of x, y with smooth edges; canvas: (h, w, 3) uint8, color: RGB in [0, 1]."""
    at = np.round(np.asarray(points) * 16).astype(np.int32)
    cv2.fillPoly(canvas, [at], [min(255.0, float(c) * 255) for c in color], cv2.LINE_AA, 4)
