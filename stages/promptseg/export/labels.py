"""Label images: PNG files of class indices, and of instances where they are told apart, beside the table of scores.

images/NAME.png or .jpg
ground_truth/NAME.png              uint8: 0 background, 1, 2, ... the classes, 255 ignored
predictions/NAME.png               uint8: the same without 255
ground_truth_instances/NAME.png    uint16: 1, 2, ... the instances, 0 elsewhere
predictions_instances/NAME.png     uint16: connected components, or automatic masks
classes.json                       index: name
scores.csv                         counts and metrics of each image and class
"""

from pathlib import Path

import numpy as np

from promptseg.core import files
from promptseg.data import image_io
from promptseg.export.images import ExportedImage, LabelMap, images, write_file
from promptseg.export.run import ExportedRun

CLASSES, SCORES, IMAGES = "classes.json", "scores.csv", "images"
GROUND_TRUTH, PREDICTIONS = "ground_truth", "predictions"


def write(run: ExportedRun, folder: Path) -> str:
    """Write images, label images, names and scores."""
    import pyarrow.csv
    import pyarrow.parquet

    for image in images(run):
        image.write_image(folder / IMAGES)
        for name, label_map in ((GROUND_TRUTH, image.target), (PREDICTIONS, image.predicted)):
            write_labels(folder / name, image, label_map)
            if label_map.instances is not None:
                numbers = image_io.encode_png(_numbered(label_map, len(run.classes)))
                write_file(folder / f"{name}_instances", f"{image.name}.png", numbers)
    files.write_json(folder / CLASSES, names(run))
    pyarrow.csv.write_csv(pyarrow.parquet.read_table(run.scores), folder / SCORES)
    return f"{PREDICTIONS}/ and {GROUND_TRUTH}/ have the labels of {CLASSES}; {SCORES} has a row for an image and class"


def write_labels(folder: Path, image: ExportedImage, label_map: LabelMap) -> str:
    """Write the class indices of an image as PNG; returns the name of the file."""
    return write_file(folder, f"{image.name}.png", image_io.encode_png(label_map.labels))


def names(run: ExportedRun) -> dict[str, str]:
    """Name of each index, as JSON has it."""
    return {str(index): name for index, name in enumerate(run.classes, 1)}


def _numbered(label_map: LabelMap, classes: int) -> np.ndarray:
    """Number the instances of all classes: (h, w) uint16."""
    numbers = np.zeros(label_map.labels.shape, np.uint16)
    for number, (_, region) in enumerate(label_map.regions(classes), 1):
        place = numbers[region.top :, region.left :][: region.mask.shape[0], : region.mask.shape[1]]
        place[region.mask] = number
    return numbers
