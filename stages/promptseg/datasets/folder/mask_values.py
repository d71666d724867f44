"""Values in a user's mask files, whatever their format."""

from functools import cached_property
from pathlib import Path

import numpy as np

from promptseg.core import progress
from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.data import image_io, label_images
from promptseg.datasets.folder import palettes, value_mapping
from promptseg.datasets.folder.labels import Labels, shown


class Notes:
    """Notes to the user, on stderr: what is unusual in the files and how it is read, once of each kind."""

    def __init__(self):
        self._said: set[str] = set()

    def say(self, kind: str, text: str) -> None:
        """Write a note. kind: of which only the first is written."""
        if kind not in self._said and Ranks().main:
            self._said.add(kind)
            progress.write(f"note: {text}")


class ValueReader:
    """Reader of the values in all mask files of a dataset.

    Args:
        labels: decides whether values are ids or colors.
        notes: where to say how unusual files are read.
    """

    def __init__(self, labels: Labels, notes: Notes):
        self._labels, self._notes = labels, notes
        self._files: list[Path] = []

    def add(self, path: Path) -> None:
        """Add a file, in the order of the dataset: the first palette is the one that others are compared with."""
        self._files.append(path)

    def read(self, path: Path) -> np.ndarray:
        """Read the values in a mask file without mapping them.

        Args:
            path: PNG or TIFF file; with a threshold also JPEG, or TIFF with JPEG inside.

        Returns:
            (h, w) uint8, uint16 or int64, (h, w, 3) uint8 for labels in colors; bool where the file knows no values but
            those of background and class.

        Raises:
            UserError: the file is damaged, lossy, or of the wrong kind for the labels.
        """
        known = self._labels
        if label_images.holds_jpeg(path):
            if known.threshold is None:
                hint = ", or set options.threshold: 128" if known.binary else ""
                raise UserError(f"{path}: a JPEG blurs the labels of a mask; give it as PNG or TIFF{hint}")
            values = image_io.read_image(path)
            return values[..., 0] if values.ndim == 3 else values
        if known.colors:
            return image_io.read_image(path)
        values, palette, inverted = label_images.read_labels(path)
        if inverted:
            self._notes.say("inverted", f"{path}: it shows 0 as white; the values are read as stored, 0 is background")
        if palette is not None:
            meanings = known.table | ({1: 1, 255: 1} if known.binary else {})
            if label_images.gray_levels(palette) is None:
                palettes.check_same(values, palette, self._first_palette, path)
            values = palettes.values(values, palette, meanings, path)
        if values.ndim == 3:
            colors = ", ".join(shown(code, True) for code in np.unique(value_mapping.color_codes(values))[:4])
            raise UserError(f"{path}: it holds colors ({colors}, ...); set options.classes: {{name: '#rrggbb'}}")
        if values.dtype == bool and (known.threshold is not None or not known.binary):
            return values * np.uint8(255)
        if known.threshold is not None and values.max() > 255:
            raise UserError(f"{path}: its values reach {values.max()}; save it with 8 bits, which threshold is for")
        if known.threshold is not None and known.threshold > 1 and values.max() == 1:
            raise UserError(
                f"{path}: its values are 0 and 1, all below the threshold {known.threshold}; remove threshold"
            )
        return values

    @cached_property
    def _first_palette(self) -> tuple[np.ndarray, Path] | None:
        """The first palette of colors, and its file."""
        for path in self._files:
            palette = label_images.palette_of(path)
            if palette is not None and label_images.gray_levels(palette) is None:
                return palette, path
        return None
