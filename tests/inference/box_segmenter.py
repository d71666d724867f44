"""A segmenter whose masks are its prompts."""

import torch
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Segmenter


class BoxSegmenter(Segmenter):
    """Logits of 4 inside the box, or the mask, and of -4 elsewhere; records the prompts that it gets.

    Attributes:
        pixel: width and height of the image's pixels in the input, as the last ones belong to the box.
    """

    NAME, PROMPTS = "boxes", frozenset({"points", "box", "mask"})

    def __init__(self, size: int, keep_aspect: bool, pixel: tuple[int, int] = (1, 1)):
        super().__init__()
        self.pixel = pixel
        self.transform, self.prompts = ImageTransform(size, keep_aspect, (0, 0, 0), (1, 1, 1)), []

    def encode(self, images):
        return {"image": torch.zeros(len(images), 1)}

    def decode(self, features, prompts):
        self.prompts += prompts[0]
        out = torch.full((1, len(prompts[0]), self.transform.size, self.transform.size), -4.0)
        for logits, prompt in zip(out[0], prompts[0]):
            if prompt.get("mask"):
                logits[prompt.get("mask").values > 0.5] = 4.0
            else:
                x0, y0, x1, y1 = prompt.get("box").corners.round().astype(int)
                logits[y0 : y1 + self.pixel[1], x0 : x1 + self.pixel[0]] = 4.0
        return out
