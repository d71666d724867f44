"""FiftyOne: a folder in its own FiftyOneDataset format, with ground truth and predictions as fields of each image.

    metadata.json                      what is about the whole dataset
    samples.json                       an entry for each image
    data/NAME.png or .jpg              the images
    fields/ground_truth/NAME.png       class indices; fields/ holds the files that fields of a sample name
    fields/predictions/NAME.png

metadata.json states no version of FiftyOne, so that its importer infers the fields from the samples: a stated version
would tie the file to that version's schema, which its migrations then expect in full.
"""

from pathlib import Path
from typing import Any

from promptseg.core import files
from promptseg.export import labels
from promptseg.export.images import THRESHOLD, images
from promptseg.export.run import ExportedRun


def write(run: ExportedRun, folder: Path) -> str:
    """Write images, label images and both JSON files."""
    samples = []
    for image in images(run):
        sample: dict[str, Any] = {
            "filepath": f"data/{image.write_image(folder / 'data')}",
            "tags": ["test"],
            "promptseg_id": image.id,
            "promptseg_group": image.group,
        }
        for field, label_map in ((labels.GROUND_TRUTH, image.target), (labels.PREDICTIONS, image.predicted)):
            place = f"fields/{field}"
            file = labels.write_labels(folder / place, image, label_map)
            sample[field] = {"_cls": "Segmentation", "mask_path": f"{place}/{file}"}
        samples.append(sample if image.iou is None else sample | {"iou": image.iou})
    about = {"run": run.name, "dataset": run.entry.dataset, "threshold": THRESHOLD}
    info = {"default_mask_targets": labels.names(run), "promptseg": about}
    files.write_json(folder / "metadata.json", {"name": run.name, "media_type": "image", "info": info})
    files.write_json(folder / "samples.json", {"samples": samples})
    return "fiftyone.Dataset.from_dir(FOLDER, dataset_type=fiftyone.types.FiftyOneDataset)"
