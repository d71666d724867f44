"""Rows of gpu_check.py that time what stages do on a GPU: encode a split, generate masks, train."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_rig import Rig


def _processes(rig: Rig) -> Any:
    from promptseg.core.devices import Processes, configure_torch

    processes = Processes()
    configure_torch(processes)
    if rig.rehearsal:
        torch.set_num_threads(1)
    return processes


def cache(rig: Rig) -> dict[str, Any]:
    """Fill the embedding cache from a split of PNG images: what a stage does, in bf16."""
    from bench_training import write_split
    from promptseg import models
    from promptseg.data import records
    from promptseg.inference import embedding_cache, embedding_source
    from promptseg.nn import batch_sizes, precision

    processes, count = _processes(rig), 3 if rig.rehearsal else 256
    model = models.load("sam").create("tiny" if rig.rehearsal else "full", 0).to(rig.device)
    precision.apply(model, "bf16")
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        split = write_split(Path(folder), "split", count)
        source = embedding_source.Source(split, records.open_split(split), "none", Path(folder) / "embeddings")
        first = np.asarray(records.image(source.records[0]))
        size = batch_sizes.images(lambda: model.encode([first]), model.transform.size, rig.device)
        batch = [first] * min(size, count)
        _, transforming = rig.once(lambda: model.transform.to_input(batch))
        _, seconds = rig.once(lambda: embedding_cache.features(model, source, processes))
    return {
        "images": count, "batch": size, "images_per_second": round(count / seconds, 2),
        "transform_images_per_second": round(len(batch) / transforming, 1), "threads": torch.get_num_threads(),
    }  # fmt: skip


def automatic(rig: Rig) -> dict[str, Any]:
    """Automatic masks against segment_anything's generator, on one embedding: SAM ViT-B, random weights, scaled."""
    import cv2
    from bench_automatic import PrecomputedEncoder, agreement
    from original_sam import lively, original
    from promptseg import models
    from promptseg.inference import automatic_masks
    from promptseg.prompts.automatic import AutomaticMasks
    from segment_anything import SamAutomaticMaskGenerator

    _processes(rig)
    shape, points = ((192, 256), 6) if rig.rehearsal else ((768, 1024), 32)
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    image = cv2.GaussianBlur(cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_NEAREST), (0, 0), 9)
    model = lively(models.load("sam").create("tiny" if rig.rehearsal else "full", 0), image).to(rig.device)
    settings = AutomaticMasks(points=points, iou=0.9, stability=0.8, nms=0.98)
    with torch.inference_mode():
        features = model.encode([image])
    theirs = original(model).to(rig.device)
    theirs.image_encoder = PrecomputedEncoder(theirs.image_encoder, features["image"])
    generator = SamAutomaticMaskGenerator(
        theirs, points, pred_iou_thresh=0.9, stability_score_thresh=0.8, box_nms_thresh=0.98
    )
    masks, expected = automatic_masks.generate(model, features, image, settings), generator.generate(image)
    ours_seconds = rig.seconds(lambda: automatic_masks.generate(model, features, image, settings), 1)
    their_seconds = rig.seconds(lambda: generator.generate(image), 1)
    share = agreement([mask.mask() for mask in masks], [mask["segmentation"] for mask in expected])
    return {
        "points": points**2, "seconds_ours": round(ours_seconds, 3), "seconds_theirs": round(their_seconds, 3),
        "times_faster": round(their_seconds / ours_seconds, 2), "masks": len(masks), "their_masks": len(expected),
        "share_of_theirs_matched": round(share, 4),
    }  # fmt: skip


def training(rig: Rig) -> dict[str, Any]:
    """One epoch of the mask decoder of SAM ViT-B, random weights: the first one encodes, the second finds features."""
    import bench_training
    from promptseg import models
    from promptseg.nn import weights

    count = 4 if rig.rehearsal else 64
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = models.load("sam").create("tiny" if rig.rehearsal else "full", 0)
        weights.write(folder / "checkpoint", model.configuration(), model.state_dict(), model.files())
        runs = [rig.once(lambda: bench_training.finetune(folder, "sam", 1, count))[1] for _ in range(2)]
        loss = (folder / "curve.csv").read_text().splitlines()[1].split(",")[2]
    return {
        "images": count, "seconds_with_encoding": round(runs[0], 2), "seconds_with_features": round(runs[1], 2),
        "loss": float(loss),
    }  # fmt: skip
