"""64 points and 64 boxes for one image: ours, one prompt at a time on one embedding, and the usual call for each.

    PYTHONPATH=stages:tests/helpers python tests/benchmarks/bench_prompting.py [IMAGE]

SAM ViT-B with random weights at full size, compared with segment_anything's SamPredictor on the same weights; with
PROMPTSEG_SAM2, a folder in the hub's layout, also the real SAM 2, compared with transformers' forward on a given
embedding. All variants start from the image and end with masks at its size, one for each prompt. The usual call is the
whole model for each prompt; one is timed and counted 64 times. Times are processor seconds on one thread, which other
processes affect least.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import torch
from original_sam import original
from PIL import Image
from promptseg import models
from promptseg.core.devices import Processes, configure_torch
from promptseg.inference.class_maps import predict_classes
from promptseg.nn.sam_segmenter import SamSegmenter
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points
from segment_anything import SamPredictor

COUNT = 64


def seconds(work: Callable[..., object], *args) -> float:
    start = time.process_time()
    work(*args)
    return time.process_time() - start


def random_prompts(height: int, width: int) -> dict[str, list[Prompt]]:
    """Points and boxes, each for a class of its own, so that each mask is upsampled and returned."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.8, (COUNT, 2)) * [width, height]
    sizes = rng.uniform(0.05, 0.2, (COUNT, 2)) * [width, height]
    points = [Points(center[None], np.array([1])) for center in corners + sizes / 2]
    boxes = [Box(np.concatenate([corner, corner + size])) for corner, size in zip(corners, sizes, strict=True)]
    by_kind: dict[str, list] = {"points": points, "boxes": boxes}
    return {kind: [Prompt.of(part, target=i) for i, part in enumerate(parts, 1)] for kind, parts in by_kind.items()}


def forward(model: SamSegmenter, prompt: Prompt, height: int, width: int, **image_inputs) -> torch.Tensor:
    """The forward pass of transformers for one prompt, and its mask at the size of the image."""
    prompt = prompt.to_model(model.transform, height, width)
    points, box = prompt.get("points"), prompt.get("box")
    if box is not None:
        prompt_inputs = {"input_boxes": torch.tensor(box.corners, dtype=torch.float32)[None, None]}
    else:
        coordinates = torch.tensor(points.coordinates, dtype=torch.float32)[None, None]
        prompt_inputs = {"input_points": coordinates, "input_labels": torch.tensor(points.labels)[None, None]}
    out = model.network(**image_inputs, **prompt_inputs, multimask_output=box is None)
    return model.transform.to_image(out.pred_masks[0, 0], height, width) > 0


def compare(name: str, model: SamSegmenter, image: np.ndarray, one_by_one: Callable[[list[Prompt]], None]) -> None:
    height, width = image.shape[:2]

    def predict(prompts: list[Prompt]) -> np.ndarray:
        return predict_classes(model, model.encode([image]), prompts, (COUNT, height, width)).probability

    def call(prompt: Prompt) -> torch.Tensor:
        return forward(model, prompt, height, width, pixel_values=model.transform.to_input([image]))

    for kind, prompts in random_prompts(height, width).items():
        ours, encoder = seconds(predict, prompts), seconds(model.encode, [image])
        print(f"{name}, {COUNT} {kind}: ours {ours:.1f} s, of which the encoder {encoder:.1f} s")
        references = {
            "one by one on one embedding": seconds(one_by_one, prompts),
            "the usual call": COUNT * seconds(call, prompts[0]),
        }
        for reference, duration in references.items():
            print(f"  {reference} {duration:.1f} s, {duration / ours:.1f} times ours", flush=True)


def main() -> None:
    torch.manual_seed(0)
    configure_torch(Processes())
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        image = np.asarray(Image.open(sys.argv[1]).convert("RGB"))
    else:
        photograph = Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"  # comes with matplotlib
        image = np.asarray(Image.open(photograph).convert("RGB"))
    height, width = image.shape[:2]
    with torch.inference_mode():
        if "PROMPTSEG_SAM2" in os.environ:
            sam2 = models.load("sam2").convert(Path(os.environ["PROMPTSEG_SAM2"]))

            def forward_each(prompts: list[Prompt]) -> None:
                embeddings = sam2.image_embeddings(sam2.encode([image]))
                for prompt in prompts:
                    forward(sam2, prompt, height, width, image_embeddings=list(embeddings))

            compare("SAM 2, real", sam2, image, forward_each)
        sam = models.load("sam").create("full", 0)
        predictor = SamPredictor(original(sam))

        def predict_each(prompts: list[Prompt]) -> None:
            predictor.set_image(image)
            for prompt in prompts:
                points, box = prompt.get("points"), prompt.get("box")
                if box is not None:
                    predictor.predict(box=box.corners, multimask_output=False)
                else:
                    predictor.predict(points.coordinates, points.labels, multimask_output=True)

        compare("SAM ViT-B, random", sam, image, predict_each)


if __name__ == "__main__":
    main()
