"""Base of all scenes: painting parts and naming the objects that they form."""

import numpy as np

from promptseg.datasets.phrasecut.canvas import Canvas, Paint, box, ellipse
from promptseg.datasets.phrasecut.words import COLORS, Thing

LEAST = 60  # visible pixels; what shows less is not named


class Scene:
    """A canvas, the objects on it, and the random generator of one image."""

    def __init__(self, rng: np.random.Generator, height: int, width: int):
        self.rng, self.canvas, self.things = rng, Canvas(rng, height, width), []
        self.height, self.width = height, width
        self._ids = 0

    def part(self, outline: np.ndarray, paint: Paint, like: int | None = None) -> int:
        """Paint an outline; it gets an id of its own, or that of a part of which it is more."""
        if like is None:
            self._ids += 1
            like = self._ids
        self.canvas.fill(outline, paint, like)
        return like

    def name(self, name: str, attributes, ids, relation=None, size: float = 0.0, place: float = 0.0) -> None:
        """Register parts as an object; place in pixels."""
        self.things.append(Thing(name, tuple(attributes), set(ids), relation, size, place / self.width))

    def visible(self) -> list[Thing]:
        """Return the objects that are sufficiently visible."""
        seen = np.bincount(self.canvas.ids.ravel(), minlength=self._ids + 1)
        return [thing for thing in self.things if sum(seen[id] for id in thing.ids) >= LEAST]

    def mask(self, thing: Thing) -> np.ndarray:
        """Return the visible region of an object, (h, w) uint8 of 0 and 1."""
        return np.isin(self.canvas.ids, list(thing.ids)).astype(np.uint8)

    def pick(self, *options):
        """One of the options, at random."""
        return options[self.rng.integers(len(options))]

    def colors(self, count: int, *among: str) -> list[str]:
        """Different names of colors."""
        return [str(name) for name in self.rng.choice(among or list(COLORS), count, replace=False)]

    def near(self, color: str, wander: float = 0.05) -> tuple[float, float, float]:
        """A shade of a named color."""
        shade = np.array(COLORS[color]) * self.rng.uniform(0.85, 1.15) + self.rng.normal(0, wander / 2, 3)
        return tuple(np.clip(shade, 0.03, 0.97))

    def ball(self, x: float, foot: float, radius: float, color: str, relation: tuple[str, str]) -> None:
        """A ball that touches the ground at y = foot, plain or with a stripe."""
        self.canvas.shadow(ellipse(x + 0.4 * radius, foot - 0.1 * radius, 1.2 * radius, 0.35 * radius), 0.5, 3)
        ball = self.part(ellipse(x, foot - radius, radius, radius), Paint(self.near(color), round=0.9))
        words = [color]
        if self.rng.random() < 0.35:
            stripe = ellipse(x, foot - radius, radius * 0.97, 0.3 * radius, self.rng.uniform(-0.6, 0.6))
            self.part(stripe, Paint(self.near("white" if color != "white" else "red"), round=0.5), ball)
            words.append("striped")
        self.part(ellipse(x - 0.35 * radius, foot - 1.4 * radius, 0.14 * radius, 0.1 * radius), Paint((1, 1, 1)), ball)
        self.name("ball", words, [ball], relation, 2 * radius, x)

    def cat(self, x: float, foot: float, s: float, coat: str, relation: tuple[str, str]) -> None:
        """A sitting cat of height s, seen from the front."""
        pattern = self.pick("plain", "striped") if coat in ("orange", "gray", "tan") else "plain"
        dark = tuple(0.55 * np.array(COLORS[coat]))
        paint = Paint(self.near(coat), pattern, dark, 0.09 * s, 0.15, 0.65, 0.3)
        self.canvas.shadow(ellipse(x + 0.1 * s, foot - 0.02 * s, 0.4 * s, 0.09 * s), 0.55, 4)
        side = self.pick(-1, 1)
        cat = self.part(ellipse(x + side * 0.28 * s, foot - 0.09 * s, 0.26 * s, 0.06 * s, -0.25 * side), paint)
        self.part(ellipse(x, foot - 0.29 * s, 0.24 * s, 0.31 * s), paint, cat)
        for lean in (-1, 1):
            self.part(ellipse(x + lean * 0.09 * s, foot - 0.13 * s, 0.065 * s, 0.15 * s), paint, cat)
            at = np.array((x + lean * 0.12 * s, foot - 0.92 * s))
            ear = at + np.array([(-0.07 * lean, 0.16), (0.03 * lean, -0.08), (0.09 * lean, 0.17)]) * s
            self.part(ear, paint, cat)
        self.part(ellipse(x, foot - 0.72 * s, 0.2 * s, 0.17 * s), paint, cat)
        for lean in (-1, 1):
            eye = ellipse(x + lean * 0.08 * s, foot - 0.74 * s, 0.032 * s, 0.026 * s)
            self.part(eye, Paint((0.65, 0.72, 0.2), round=0), cat)
            self.part(ellipse(x + lean * 0.08 * s, foot - 0.74 * s, 0.01 * s, 0.024 * s), Paint((0.02,) * 3), cat)
        self.part(ellipse(x, foot - 0.665 * s, 0.02 * s, 0.014 * s), Paint((0.7, 0.4, 0.4)), cat)
        self.name("cat", [coat, *(["striped"] if pattern == "striped" else [])], [cat], relation, s, x)

    def grid(self, left: float, top: float, right: float, bottom: float, rows: int, columns: int, paint: Paint) -> list:
        """Panes in rows and columns; their ids."""
        ids, h, w = [], (bottom - top) / rows, (right - left) / columns
        for row in range(rows):
            for column in range(columns):
                x, y = left + (column + 0.22) * w, top + (row + 0.2) * h
                self.part(box(x - 1.5, y - 1.5, x + 0.56 * w + 1.5, y + 0.6 * h + 1.5), Paint((0.82, 0.8, 0.76)))
                ids.append(self.part(box(x, y, x + 0.56 * w, y + 0.6 * h), paint))
        return ids
