"""Scores of point clouds as the field counts them, from the counts of `scores`: part mIoU, and top-1 accuracy.

Part mIoU (ShapeNetPart; Yi et al. 2016, PointNet): a shape's IoU is the mean over the parts of its category, 1 for a
part that neither truth nor answer has; `part_miou` is the mean over shapes, `part_miou_category` that over categories
of the means of their shapes.
"""

import numpy as np


def per_cloud(rows: list[dict], about: dict, texts: dict[str, str]) -> dict[str, float]:
    """{id: a cloud's mean IoU} over the classes that its text stands for, or over those that it or the answer has.

    rows: of `Scores.rows`; about: of the container; texts: {id: its row's text}. Where clouds are of one class as a
    whole, this is 1 for a right answer and 0 for a wrong one.
    """
    names, of = about["classes"], about["among"]
    asked = {text: {names[number - 1] for number in numbers} for text, numbers in of.items()}
    ious: dict[str, list[float]] = {}
    for row in rows:
        known = asked.get(texts[row["id"]])
        if row["class"] in known if known is not None else row["tp"] + row["fp"] + row["fn"]:
            ious.setdefault(row["id"], []).append(row["iou"])
    return {id: float(np.mean(values)) for id, values in ious.items()}


def summary(clouds: dict[str, float], about: dict, texts: dict[str, str]) -> dict[str, float]:
    """Keys for a metrics file, from `per_cloud`: accuracy_top1, or part_miou and part_miou_category; 6 digits."""
    mean = round(float(np.mean(list(clouds.values()))), 6)
    if about["whole"]:
        return {"accuracy_top1": mean}
    categories: dict[str, list[float]] = {}
    for id, value in clouds.items():
        categories.setdefault(texts[id], []).append(value)
    means = [np.mean(values) for values in categories.values()]
    return {"part_miou": mean, "part_miou_category": round(float(np.mean(means)), 6)}
