"""ONNX: U-Net as model.onnx; SAM and SAM 2 as encoder.onnx, run once an image, and decoder.onnx, run once a prompt.

    model.onnx      pixels (n, 3, size, size) -> logits (n, classes, size, size)
    encoder.onnx    pixels (1, 3, size, size) -> features: image; of SAM 2 also high and middle, of finer grids
    decoder.onnx    points (1, p, k, 2) in pixels of the input, labels (1, p, k) int64, features
                    -> masks (1, p, m, side, side) logits, iou (1, p, m) predicted

p prompts of k points each. Labels: 1 on the object, 0 beside it, 2 and 3 the first and the last corner of a box, -1 no
point. As in the networks, SAM needs a point of label -1 (at 0, 0) after the points where there is no box, SAM 2 always.
m is 1 for a fine-tuned decoder; otherwise 4, the single mask and then the three of an ambiguous point. config.json says
how images are prepared, and segment.py does all of it with numpy, Pillow and onnxruntime.
"""

import contextlib
import importlib.util
import io
import shutil
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from promptseg.core import files
from promptseg.core.errors import UserError
from promptseg.evaluation import counts
from promptseg.export import model_card
from promptseg.export.run import ExportedRun
from promptseg.models.sam import Sam
from promptseg.models.sam2 import Sam2
from promptseg.models.unet import Unet
from promptseg.nn.sam_segmenter import SamSegmenter

OPSET = 20
SCRIPT = Path(__file__).with_name("segment_onnx.py")  # copied, not imported: it needs onnxruntime
LARGEST = 1_900_000_000  # bytes of tensors in one file, as protobuf ends at 2 GiB; more go to a file beside it


class Encoder(torch.nn.Module):
    """The image encoder; returns what `decode` of the model needs, by `names`."""

    def __init__(self, segmenter: SamSegmenter):
        super().__init__()
        self.network = segmenter.network
        self.names = ["image", "high", "middle"] if isinstance(segmenter, Sam2) else ["image"]

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(1, 3, size, size) -> features."""
        out = self.network.vision_encoder(pixels)
        if len(self.names) == 1:
            return (out.last_hidden_state,)
        high, middle, low = out.fpn_hidden_states
        decoder = self.network.mask_decoder
        low = low + self.network.no_memory_embedding.reshape(1, -1, 1, 1)
        return low, decoder.conv_s0(high), decoder.conv_s1(middle)


class Decoder(torch.nn.Module):
    """Prompt encoder and mask decoder, with points and boxes as one list of labeled points."""

    def __init__(self, segmenter: SamSegmenter):
        super().__init__()
        self.network, self.outputs = segmenter.network, (False,) if segmenter.single_mask else (False, True)
        prompts = self.network.prompt_encoder
        known = prompts.point_embed
        labels = [each.weight for each in known] if isinstance(known, torch.nn.ModuleList) else [known.weight]
        dense = prompts.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(1, -1, *prompts.image_embedding_size)
        self.register_buffer("labels", torch.cat([prompts.not_a_point_embed.weight, *labels]).detach())
        self.register_buffer("dense", dense.detach().contiguous())
        self.register_buffer("positions", self.network.get_image_wide_positional_embeddings().detach())

    def forward(
        self, points: torch.Tensor, labels: torch.Tensor, image: torch.Tensor, high: torch.Tensor | None = None,
        middle: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:  # fmt: skip
        """Points, labels and features -> masks and their predicted IoU."""
        prompts = self.network.prompt_encoder
        places = prompts.shared_embedding(points + 0.5, (prompts.input_image_size, prompts.input_image_size))
        embedded = self.labels[labels + 1]
        embedded = torch.where(labels[..., None] == -1, embedded, embedded + places)
        high_resolution = {} if high is None else {"high_resolution_features": [high, middle]}
        found = [
            self.network.mask_decoder(
                image_embeddings=image, image_positional_embeddings=self.positions, sparse_prompt_embeddings=embedded,
                dense_prompt_embeddings=self.dense, multimask_output=several, **high_resolution,
            )[:2]
            for several in self.outputs
        ]  # fmt: skip
        return tuple(torch.cat(values, dim=2) for values in zip(*found))


def write(run: ExportedRun, folder: Path) -> str:
    """Write the networks, config.json, the script and the card."""
    segmenter = run.segmenter()
    if not isinstance(segmenter, Unet | Sam | Sam2):
        raise UserError(f"{run.name}: only unet, sam and sam2 are exported as ONNX, not {segmenter.NAME}; --format hub")
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"--format onnx needs the packages onnx and onnxscript: `pip install {' '.join(missing)}`")
    pixels = torch.zeros(1, 3, segmenter.transform.size, segmenter.transform.size)
    config: dict[str, Any] = {}
    if isinstance(segmenter, Unet):
        batch = {0: torch.export.Dim("n")}
        _write_graph(folder / "model.onnx", segmenter.network, {"pixels": pixels}, ["logits"], [batch])
    else:
        encoder, decoder = Encoder(segmenter).eval(), Decoder(segmenter).eval()
        with torch.no_grad():
            features = dict(zip(encoder.names, encoder(pixels)))
        _write_graph(folder / "encoder.onnx", encoder, {"pixels": pixels}, encoder.names, [None])
        number, points = torch.export.Dim("prompts"), torch.export.Dim("points")
        prompt = {"points": torch.zeros(1, 2, 3, 2), "labels": torch.ones(1, 2, 3, dtype=torch.long)}
        shapes = [{1: number, 2: points}, {1: number, 2: points}, *[None] * len(features)]
        _write_graph(folder / "decoder.onnx", decoder, prompt | features, ["masks", "iou"], shapes)
        config = {"pads_boxes": isinstance(segmenter, Sam2)}
    config |= {
        "run": run.name,
        "model": segmenter.NAME,
        "opset": OPSET,
        "classes": run.classes,
        "threshold": run.threshold,
        "probability": counts.lowest_value(run.threshold) / 256,  # as probabilities are compared in eight bits
        "transform": asdict(segmenter.transform),
    }
    files.write_json(folder / "config.json", config)
    shutil.copyfile(SCRIPT, folder / "segment.py")
    model_card.write(run, segmenter, "onnx", folder)
    return "python FOLDER/segment.py IMAGE MASK.png, with numpy, Pillow and onnxruntime alone; README.md says more"


def _write_graph(
    path: Path, module: torch.nn.Module, inputs: dict[str, torch.Tensor], outputs: list[str], shapes: list[dict | None]
) -> None:
    """Trace a module and write it without the source lines of this machine, which the exporter keeps for each node."""
    import onnx

    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module, tuple(inputs.values()), input_names=list(inputs), output_names=outputs, opset_version=OPSET,
            dynamic_shapes=tuple(shapes), dynamo=True, external_data=False, verbose=False,
        )  # fmt: skip
    proto = program.model_proto  # type: ignore[union-attr]  # None is for the older exporter
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    large = proto.ByteSize() > LARGEST
    onnx.save_model(proto, path, save_as_external_data=large, location=f"{path.name}.data")
