"""Segment an image with the ONNX files beside this script; it needs numpy, Pillow and onnxruntime alone.

python segment.py image.png mask.png --point 120,80 --no-point 10,10 --box 100,60,460,350

All points and one box are a prompt; several boxes without points are an object each. U-Net takes no prompt.
mask.png: 0 background, 1, 2, ... the classes of config.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

ON, BESIDE, FIRST_CORNER, LAST_CORNER, NO_POINT = 1, 0, 2, 3, -1  # labels of points


class Model:
    """The networks in a folder.

    Args:
        folder: with config.json and the .onnx files.
    """

    def __init__(self, folder: Path):
        self.config = json.loads((folder / "config.json").read_text("utf-8"))
        self.sessions = {path.stem: onnxruntime.InferenceSession(path) for path in sorted(folder.glob("*.onnx"))}

    def segment(self, image: Image.Image, prompts: list[list[tuple[float, float, int]]]) -> np.ndarray:
        """Segment an image.

        Args:
            image: upright, in any mode of 8 bits.
            prompts: for each object its points, x and y in pixels and a label; equally many of each. Empty for U-Net.

        Returns:
            (h, w) uint8, 0 background, 1, 2, ... the classes; objects are of class 1.
        """
        pixels, content = self._input(image)
        if prompts:
            maps, label = self._masks(pixels, prompts, np.array(content) / image.size), np.uint8(1)
        else:
            maps = self._run("model", pixels=pixels)[0][0]
        if self.config["transform"]["keep_aspect"]:
            maps = resize(maps, *pixels.shape[2:])[:, : content[1], : content[0]]
        logits = resize(maps, image.height, image.width)
        if not prompts:
            label = logits.argmax(axis=0).astype(np.uint8) + np.uint8(1)
        probability = self.config["probability"]
        return np.where(logits.max(axis=0) >= np.log(probability / (1 - probability)), label, np.uint8(0))

    def _masks(self, pixels: np.ndarray, prompts: list, scale: np.ndarray) -> np.ndarray:
        """Logits (p, side, side), for each prompt the best mask of those that it may have."""
        names = [output.name for output in self.sessions["encoder"].get_outputs()]
        features = dict(zip(names, self._run("encoder", pixels=pixels)))
        points = np.array([[point[:2] for point in prompt] for prompt in prompts]) * scale
        labels = np.array([[point[2] for point in prompt] for prompt in prompts], np.int64)
        alone = labels.shape[1] == 1
        if self.config["pads_boxes"] or not (labels >= FIRST_CORNER).any():
            points = np.pad(points, ((0, 0), (0, 1), (0, 0)))
            labels = np.pad(labels, ((0, 0), (0, 1)), constant_values=NO_POINT)
        masks, iou = self._run("decoder", points=points[None].astype(np.float32), labels=labels[None], **features)
        # A point alone is ambiguous: the best of three masks, which follow the single one where there are any.
        best = 1 + iou[0, :, 1:].argmax(axis=1) if alone and iou.shape[2] > 1 else np.zeros(len(prompts), int)
        return masks[0, np.arange(len(prompts)), best]

    def _run(self, name: str, **inputs: np.ndarray) -> list[np.ndarray]:
        return self.sessions[name].run(None, inputs)

    def _input(self, image: Image.Image) -> tuple[np.ndarray, tuple[int, int]]:
        """Pixels (1, 3, size, size) float32, and the width and height of the image within them."""
        transform = self.config["transform"]
        size, content = transform["size"], (transform["size"], transform["size"])
        if transform["keep_aspect"]:
            scale = size / max(image.size)
            content = int(image.width * scale + 0.5), int(image.height * scale + 0.5)
        values = np.array(image.convert("RGB").resize(content, Image.Resampling.BILINEAR), np.float32)
        pixels = np.zeros((1, 3, size, size), np.float32)
        normal = (values - np.float32(transform["mean"])) / np.float32(transform["std"])
        pixels[0, :, : content[1], : content[0]] = normal.transpose(2, 0, 1)
        return pixels, content


def resize(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resample maps (k, h, w) to (k, height, width), bilinearly between the centers of pixels."""
    for axis, length in ((1, height), (2, width)):
        place = (np.arange(length) + 0.5) * values.shape[axis] / length - 0.5
        place = place.clip(0, values.shape[axis] - 1)
        low = place.astype(int)
        high = np.minimum(low + 1, values.shape[axis] - 1)
        weight = (place - low).astype(np.float32).reshape(-1, *[1] * (2 - axis))
        values = values.take(low, axis) * (1 - weight) + values.take(high, axis) * weight
    return values


def numbers(text: str) -> list[float]:
    """Numbers with commas between them."""
    return [float(part) for part in text.split(",")]


def main() -> None:
    """Segment the image that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("mask", type=Path, help="PNG file to write")
    parser.add_argument("--point", type=numbers, action="append", default=[], metavar="X,Y", help="on the object")
    parser.add_argument("--no-point", type=numbers, action="append", default=[], metavar="X,Y", help="beside it")
    parser.add_argument("--box", type=numbers, action="append", default=[], metavar="X0,Y0,X1,Y1")
    given = parser.parse_args()
    points = [(*xy, ON) for xy in given.point] + [(*xy, BESIDE) for xy in given.no_point]
    boxes = [[(*box[:2], FIRST_CORNER), (*box[2:], LAST_CORNER)] for box in given.box]
    if points and len(boxes) > 1:
        parser.error("points go with one box")
    prompts = [points + [corner for box in boxes for corner in box]] if points else boxes
    model = Model(Path(__file__).parent)
    if bool(prompts) != ("encoder" in model.sessions):
        parser.error(f"{model.config['model']} takes {'points and boxes' if not prompts else 'no prompt'}")
    mask = model.segment(ImageOps.exif_transpose(Image.open(given.image)), prompts)
    Image.fromarray(mask).save(given.mask)


if __name__ == "__main__":
    main()
