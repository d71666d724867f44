"""ONNX: equal to torch, and the script beside the files gives the masks of `promptseg segment` without promptseg."""

import json
import subprocess
import sys

import export_project
import numpy as np
import pytest
import torch
from export_project import exported, project
from PIL import Image
from test_hub import BOX, POINTS, least_iou, own_mask

__all__ = ["exported", "project"]  # fixtures


pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
TOLERANCE = 1e-3
CASES = {  # prompt, options of the script
    "cells-unet": [({}, [])],
    "cells-sam": [
        (POINTS, ["--point", "45,42"]),
        (BOX, ["--box", "20,20,62,61"]),
        (
            {**POINTS, **BOX, "negative_points": [[10, 10]]},
            ["--point", "45,42", "--no-point", "10,10", "--box", "20,20,62,61"],
        ),
        ({"box": [[20, 20, 62, 61], [70, 30, 95, 60]]}, ["--box", "20,20,62,61", "--box", "70,30,95,60"]),
    ],
    "cells-sam2-20": [(POINTS, ["--point", "45,42"]), (BOX, ["--box", "20,20,62,61"])],
}


@pytest.mark.parametrize("run", CASES)
def test_networks_equal_torch_and_the_script_gives_the_same_masks(exported, project, run):
    folder = exported(run, "onnx")
    image = Image.fromarray(export_project.draw(3)[0])
    image.save(folder / "image.png")
    for prompt, options in CASES[run]:
        command = [sys.executable, "-I", "segment.py", "image.png", "mask.png", *options]
        subprocess.run(command, cwd=folder, check=True)
        found, expected = np.array(Image.open(folder / "mask.png")), own_mask(project, run, prompt, np.array(image))
        assert least_iou(found, expected) > 0.999
    _networks_equal_torch(folder, project, run)
    config = json.loads((folder / "config.json").read_text())
    assert config["opset"] == 20 and config["classes"] == export_project.CLASSES
    for path in folder.glob("*.onnx"):
        assert b"site-packages" not in path.read_bytes()  # where on this machine the code lay


def _networks_equal_torch(folder, project, run):
    from promptseg.export.onnx import Decoder, Encoder
    from promptseg.export.run import ExportedRun

    home, settings = project
    segmenter = ExportedRun(run, settings, export_project.folders(home)).segmenter()
    sessions = {path.stem: onnxruntime.InferenceSession(path) for path in folder.glob("*.onnx")}
    torch.manual_seed(0)
    size = segmenter.transform.size
    if run == "cells-unet":
        pixels = torch.randn(3, 3, size, size)
        assert _close(segmenter.network(pixels), sessions["model"].run(None, {"pixels": pixels.numpy()})[0])
        return
    encoder, decoder = Encoder(segmenter), Decoder(segmenter)
    pixels = torch.randn(1, 3, size, size)
    with torch.inference_mode():
        features = encoder(pixels)
        found = sessions["encoder"].run(None, {"pixels": pixels.numpy()})
        assert all(_close(*pair) for pair in zip(features, found, strict=True))
        for prompts, points in ((1, 1), (1, 4), (3, 2), (2, 3)):
            places, labels = torch.rand(1, prompts, points, 2) * size, torch.randint(-1, 4, (1, prompts, points))
            expected = decoder(places, labels, *features)
            inputs = {"points": places.numpy(), "labels": labels.numpy(), **dict(zip(encoder.names, found))}
            got = sessions["decoder"].run(None, inputs)
            assert all(_close(*pair) for pair in zip(expected, got, strict=True))


def _close(expected, found):
    return expected.shape == found.shape and np.abs(expected.detach().numpy() - found).max() < TOLERANCE
