"""64 points and 64 boxes about one picture: ours, one prompt at a time on one embedding, and the usual call for each.

    PYTHONPATH=stages:tests python tests/benchmarks/bench_prompting.py [PICTURE]

SAM ViT-B with random weights of the true size beside segment_anything's SamPredictor on the same weights; with
PROMPTSEG_SAM2, a folder in the hub's layout, also the real SAM 2 beside transformers' forward on a given embedding. All
sides start from the picture and end with masks at its size, one for each prompt. The usual call is the whole model for
each prompt; one is timed and counted 64 times. Times are processor seconds on one thread, to which what others run at
the same time adds least.
"""

import os
import sys
import time
from pathlib import Path

import matplotlib.cbook
import numpy as np
import torch
from original_sam import original
from PIL import Image
from promptseg import models
from promptseg.core.devices import Processes
from promptseg.inference import prediction
from promptseg.prompts import Prompt
from segment_anything import SamPredictor

COUNT = 64


def seconds(work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def asked(height: int, width: int) -> dict[str, list[Prompt]]:
    """Each prompt asks for a class of its own, so that each mask is enlarged and kept."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.8, (COUNT, 2)) * [width, height]
    sizes = rng.uniform(0.05, 0.2, (COUNT, 2)) * [width, height]
    points = [Prompt(i, points=xy[None], labels=np.array([1])) for i, xy in enumerate(corners + sizes / 2, 1)]
    boxes = [Prompt(i, box=np.concatenate([xy, xy + wh])) for i, (xy, wh) in enumerate(zip(corners, sizes), 1)]
    return {"points": points, "boxes": boxes}


def forward(model, prompt: Prompt, height: int, width: int, **picture) -> torch.Tensor:
    """transformers' own forward for one prompt, and its mask at the picture's size."""
    prompt = model.frame.prompt(prompt, height, width)
    given = {"input_boxes": torch.tensor(prompt.box, dtype=torch.float32)[None, None]} if prompt.box is not None else {
        "input_points": torch.tensor(prompt.points, dtype=torch.float32)[None, None],
        "input_labels": torch.tensor(prompt.labels)[None, None],
    }  # fmt: skip
    out = model.network(**picture, **given, multimask_output=prompt.box is None)
    return model.frame.to_picture(out.pred_masks[0, 0], height, width) > 0


def compare(name: str, model, picture: np.ndarray, one_by_one) -> None:
    height, width = picture.shape[:2]
    for kind, prompts in asked(height, width).items():

        def ours():
            return prediction.probabilities(model, model.encode([picture]), prompts, COUNT, height, width)

        def usual():
            forward(model, prompts[0], height, width, pixel_values=model.frame.pixels([picture]))

        sides = {"ours": ours, "one by one": lambda: one_by_one(prompts), "encoder": lambda: model.encode([picture])}
        spent = {side: seconds(work) for side, work in sides.items()}
        print(f"{name}, {COUNT} {kind}: ours {spent['ours']:.1f} s, of which the encoder {spent['encoder']:.1f} s")
        others = {"one by one on one embedding": spent["one by one"], "the usual call": COUNT * seconds(usual)}
        for other, time_ in others.items():
            print(f"  {other} {time_:.1f} s, {time_ / spent['ours']:.1f} times ours", flush=True)


def main() -> None:
    torch.manual_seed(0)
    Processes()
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        picture = np.asarray(Image.open(sys.argv[1]).convert("RGB"))
    else:
        with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:  # a photograph that everybody has
            picture = np.asarray(Image.open(file).convert("RGB"))
    height, width = picture.shape[:2]
    with torch.inference_mode():
        if "PROMPTSEG_SAM2" in os.environ:
            sam2 = models.load("sam2").convert(Path(os.environ["PROMPTSEG_SAM2"]))

            def each(prompts: list[Prompt]) -> None:
                embeddings = sam2.image_embeddings(sam2.encode([picture]))
                for prompt in prompts:
                    forward(sam2, prompt, height, width, image_embeddings=list(embeddings))

            compare("SAM 2, real", sam2, picture, each)
        sam = models.load("sam").create("full", 0)
        predictor = SamPredictor(original(sam))

        def predicted(prompts: list[Prompt]) -> None:
            predictor.set_image(picture)
            for prompt in prompts:
                predictor.predict(prompt.points, prompt.labels, prompt.box, multimask_output=prompt.box is None)

        compare("SAM ViT-B, random", sam, picture, predicted)


if __name__ == "__main__":
    main()
