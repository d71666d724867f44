"""What is in a folder, read as preprocessing will read it."""

from dataclasses import dataclass, replace

import numpy as np

from promptseg import datasets
from promptseg.core.errors import UserError
from promptseg.core.params import Dataset
from promptseg.inspection import contents
from promptseg.inspection.contents import ClassContents, Contents, Duplicates
from promptseg.inspection.description import Description
from promptseg.preprocessing import class_selection, independence, near_duplicates, split_assignment


@dataclass(frozen=True)
class Findings:
    """A folder as the pipeline will read it.

    Attributes:
        description: how it is read.
        total: number of samples.
        samples: of each split, as preprocessing will assign them.
        own_splits: splits that the folder has itself.
        groups: number of groups; group_unit: what one is.
        train_groups: number of groups in the training split.
        sides: (height, width) of the smallest, the median and the largest image, by their areas.
        contents: of the classes of the study.
        duplicates: images that are alike.
        words: for each class, for text prompts.
        classes: what is known of each class of the study.
    """

    description: Description
    total: int
    samples: dict[str, int]
    own_splits: tuple[str, ...]
    groups: int
    group_unit: str
    train_groups: int
    sides: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    contents: Contents
    duplicates: Duplicates
    words: tuple[str, ...]
    classes: dict[str, ClassContents]

    @property
    def instances_per_image(self) -> float:
        """Mean number of instances of all classes in an image that has any."""
        images = self.contents.measured - self.contents.empty
        return sum(each.instances for each in self.classes.values()) / max(images, 1)


def examine(description: Description, raw: str) -> Findings:
    """Read the samples of a folder as preprocessing will, and measure them.

    Args:
        description: from `describe`.
        raw: the folder, as params.yaml will name it.

    Raises:
        UserError: the reader refuses the folder, or no sample can be read.
    """
    settings = Dataset.model_validate({"raw": raw, **description.entry})
    module = datasets.load(settings.reader)
    options = datasets.options(description.name, settings)
    samples = list(module.read(description.folder, *options))
    known = datasets.classes(module, *options)
    contained = datasets.contained_in(module, *options)
    chosen, table = class_selection.select(known, settings.classes, "classes", contained)
    labels = np.arange(256) if table is None else table
    selected = [set(np.flatnonzero(labels == number).tolist()) for number in range(1, len(chosen) + 1)]
    measured = contents.measure(samples, selected)
    if not measured.measured:
        raise UserError(f"{description.folder}: no mask can be read; {measured.errors[0] if measured.errors else ''}")
    prints, unreadable = contents.fingerprints(samples)
    if prints and not any(prints.values()):
        raise UserError(f"{description.folder}: no image can be read; {unreadable[0]}")
    duplicates = contents.duplicates(samples, prints)
    stated = getattr(options[0], "group", None) if options else None
    ordered, complete = datasets.ordered(module, *options), len(prints) == len(samples)
    if getattr(module, "CHECK_DUPLICATES", False) and stated is None and not ordered and complete:
        alike = getattr(module, "CLIP_CORRELATION", near_duplicates.ALIKE)
        samples = independence.unite_groups(samples, list(prints.values()), alike)
    assigned = split_assignment.assign(samples, settings, 0, ordered)
    sides = sorted(measured.sides, key=lambda side: side[0] * side[1])
    merged = settings.classes if isinstance(settings.classes, dict) else None
    return Findings(
        description=_with_problems(description, measured.errors + unreadable),
        total=len(samples),
        samples={split: assigned.count(split) for split in split_assignment.SPLITS},
        own_splits=tuple(split for split in split_assignment.SPLITS if any(each.split == split for each in samples)),
        groups=len({sample.group for sample in samples}),
        group_unit=datasets.group_unit(module, *options),
        train_groups=len({each.group for each, split in zip(samples, assigned, strict=True) if split == "train"}),
        sides=(sides[0], sides[len(sides) // 2], sides[-1]),
        contents=measured,
        duplicates=duplicates,
        words=tuple(datasets.words(module, merged or chosen)),
        classes=dict(zip(chosen, measured.classes, strict=True)),
    )


def _with_problems(description: Description, errors: list[str]) -> Description:
    """The description with errors that are about other files than those that are reported."""
    files = {line.split(": ")[0] for line in description.problems}
    new = [line for line in dict.fromkeys(errors) if line.split(": ")[0] not in files]
    if not new:
        return description
    return replace(
        description, problems=(*description.problems, *new), entry={**description.entry, "skip_invalid": True}
    )
