"""What `promptseg verify` retains of the samples of a dataset."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Decoded:
    """What is retained of a sample after its image and mask were decoded.

    Attributes:
        id: of the sample.
        split: of the sample.
        group: of the sample.
        errors: in its files.
        size: (width, height) of the image; None where it cannot be decoded.
        color: "gray" or "color"; empty where the image cannot be decoded.
        valid: pixels of the mask that are not ignored.
        foreground: of these, pixels of any class; None where the mask cannot be decoded.
        left_out: whether the sample is left out, since the official files are wrong.
    """

    id: str
    split: str | None
    group: str
    errors: list[str] = field(default_factory=list)
    size: tuple[int, int] | None = None
    color: str = ""
    valid: int = 0
    foreground: int | None = None
    left_out: bool = False


class Statistics:
    """Ids, groups and a few numbers of all samples. modality: "image" or "point_cloud"; classes: their number."""

    def __init__(self, modality: str, classes: int):
        self._modality, self._is_binary = modality, modality == "image" and classes == 1
        self.splits: Counter[str | None] = Counter()
        self.empty = self.valid = self.foreground = self.left_out = 0
        self._ids: set[str] = set()
        self._groups: dict[str, str] = {}
        self._smallest: tuple[int, ...] = (sys.maxsize, sys.maxsize)
        self._largest: tuple[int, ...] = (0, 0)
        self._colors: set[str] = set()

    def add(self, sample: Decoded) -> Iterator[str]:
        """Add a sample; yields what is wrong with it beside those before."""
        self.splits[sample.split] += 1
        self.left_out += sample.left_out
        if sample.foreground is not None:
            self.empty += sample.foreground == 0
            self.valid, self.foreground = self.valid + sample.valid, self.foreground + sample.foreground
        if sample.id in self._ids:
            yield f"{sample.id}: more than one sample has this id"
        self._ids.add(sample.id)
        split = sample.split or "no split"
        first = self._groups.setdefault(sample.group, split)
        if first != split:
            yield f"{sample.group}: this group is in {first} and in {split}; a group must not be divided"
        if sample.size:
            self._smallest = tuple(map(min, self._smallest, sample.size))
            self._largest = tuple(map(max, self._largest, sample.size))
            self._colors.add(sample.color)

    @property
    def _for_test_only(self) -> bool:
        """Whether no sample can be trained on: all are of other splits, or it is one, which becomes the test."""
        if self.splits.keys() == {None}:
            return self.splits[None] == 1
        return bool(self.splits) and not self.splits.keys() & {None, "train"}

    def notes(self) -> Iterator[str]:
        """Yield what is no error but good to know."""
        if self.empty:
            yield f"masks without any foreground: {self.empty:,}"
        if self.left_out:
            yield f"left out, as their official files do not fit: {self.left_out:,}"
        share = self.foreground / max(self.valid, 1)
        if share > 0.5 and self._is_binary:
            yield f"{100 * share:.0f} % of all pixels are foreground; look at a mask: is it the background?"
        if self._for_test_only:
            yield "no images to train on: enough for zero-shot runs, too few for fine-tuning"

    def describe(self) -> str:
        """Describe the samples: `330 samples in 2 splits, 1024x768, gray 8-bit`.

        Sizes are width x height, as smallest..largest where they differ. Of point clouds: `84 samples in 2 splits,
        clouds of 2048 points`.
        """
        total, splits = sum(self.splits.values()), len(self.splits.keys() - {None})
        words = [f"{total:,} sample{'' if total == 1 else 's'}"]
        if total:
            words[0] += f" in {splits} split{'' if splits == 1 else 's'}" if splits else " without splits"
        if self._colors:
            sides = [
                f"{low}" if low == high else f"{low}..{high}"
                for low, high in zip(self._smallest, self._largest, strict=True)
            ]
            if self._modality == "point_cloud":
                words.append(f"clouds of {sides[1]} points")
            else:
                words += ["x".join(sides), " and ".join(sorted(self._colors, reverse=True)) + " 8-bit"]
        return ", ".join(words)
