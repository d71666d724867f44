"""The layout of the Hugging Face hub: config.json, model.safetensors, preprocessor_config.json and a model card.

A network of transformers is written as transformers writes it, with a processor of its own, and loads with transformers
alone. Any other architecture is a checkpoint of promptseg. With `adapter`, the adapters of a LoRA run stay apart, in
peft's layout: the low-rank matrices, and whole modules that were trained beside them.

config.json also says under `promptseg` what transformers has no key for: the model, its classes, the threshold, whether
it is fine-tuned, and the size of its input; `promptseg.load(source=FOLDER)` reads it.
"""

import contextlib
import io
from pathlib import Path
from typing import Any

import safetensors.torch
import transformers

from promptseg.core import files
from promptseg.core.errors import UserError
from promptseg.export import model_card
from promptseg.export.run import ExportedRun
from promptseg.nn import weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.pretrained import PREFIX
from promptseg.nn.sam2_segmenter import Sam2Segmenter
from promptseg.nn.segmenter import Segmenter

BILINEAR = 2  # as Pillow and transformers number it


def write(run: ExportedRun, folder: Path, adapter: bool = False) -> str:
    """Write the model of a run with its card."""
    segmenter = run.segmenter()
    theirs = _is_theirs(segmenter)
    if adapter:
        how = _write_adapter(run, segmenter, folder)
    elif theirs:
        how = _write_network(run, segmenter, folder)
    else:
        config = segmenter.configuration() | {"promptseg": _about(run, segmenter)}
        weights.write(folder, config, segmenter.state_dict(), segmenter.files())
        how = "promptseg.load(source=FOLDER), as the architecture is promptseg's own"
    library = "peft" if adapter else "transformers" if theirs else "promptseg"
    model_card.write(run, segmenter, library, folder)
    return f"{how}; README.md shows it"


def _is_theirs(segmenter: Segmenter) -> bool:
    """Whether all of a model is a network that transformers has, and computes as its authors do."""
    network = getattr(segmenter, "network", None)
    if isinstance(network, transformers.SamHQModel):  # see models/sam_hq.py
        return False
    inside = all(name.startswith(PREFIX) for name in segmenter.state_dict())
    return type(network).__module__.startswith("transformers.") and inside


def _about(run: ExportedRun, segmenter: Segmenter) -> dict[str, Any]:
    return {
        "model": run.entry.model,
        "classes": run.classes,
        "threshold": run.threshold,
        "finetuned": run.finetuned is not None,
        "size": segmenter.transform.size,
    }


def _write_network(run: ExportedRun, segmenter: Segmenter, folder: Path) -> str:
    network = segmenter.network
    if isinstance(segmenter, Sam2Segmenter):  # fine-tuning switches it off in the network alone
        stability = network.mask_decoder.dynamic_multimask_via_stability
        network.config.mask_decoder_config.dynamic_multimask_via_stability = stability
    network.config.promptseg = _about(run, segmenter)
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar
        network.save_pretrained(folder)
    _write_processor(segmenter, folder)
    return f"transformers.{type(network).__name__}.from_pretrained(FOLDER)"


def _write_processor(segmenter: Segmenter, folder: Path) -> None:
    """Write what prepares images, and phrases where the model takes them; nothing for MedSAM, whose card shows how."""
    for name, content in segmenter.files().items():
        (folder / name).write_bytes(content)
    transform = segmenter.transform
    if type(transform) is not ImageTransform:
        return
    size = {"height": transform.size, "width": transform.size}
    shared: dict[str, Any] = {
        "image_mean": [value / 255 for value in transform.mean],
        "image_std": [value / 255 for value in transform.std],
        "resample": BILINEAR,
    }
    if isinstance(segmenter.network, transformers.SamModel):
        side = segmenter.side
        masks = {"mask_size": {"longest_edge": side}, "mask_pad_size": {"height": side, "width": side}}
        longest = {"longest_edge": transform.size}
        processor = transformers.SamProcessor(
            transformers.SamImageProcessor(size=longest, pad_size=size, **masks, **shared)
        )
    elif isinstance(segmenter, Sam2Segmenter):
        mask_size = {"height": segmenter.side, "width": segmenter.side}
        processor = transformers.Sam2Processor(
            transformers.Sam2ImageProcessor(size=size, mask_size=mask_size, **shared)
        )
    else:
        images = transformers.ViTImageProcessor(size=size, **shared)
        processor = transformers.CLIPSegProcessor(images, segmenter.phrases.tokenizer)
    processor.save_pretrained(folder)
    processor.image_processor.save_pretrained(folder)


def _write_adapter(run: ExportedRun, segmenter: Segmenter, folder: Path) -> str:
    """Write adapters and the modules that were trained beside them, as peft has them around a transformers network."""
    from peft import LoraConfig  # late: the import takes seconds

    if "lora" not in run.training:
        raise UserError(f"{run.name}: it has no LoRA adapter (train.trainable: [lora, ...]); leave out --adapter")
    trained = weights.read(run.finetuned)[1] if run.finetuned else {}
    trained = weights.without_prefix(trained, PREFIX)
    adapters = {name: tensor for name, tensor in trained.items() if ".lora_" in name}
    modules = sorted({name.split(".")[0] for name in trained.keys() - adapters.keys()})
    whole = {n: t for n, t in segmenter.network.state_dict().items() if n.split(".")[0] in modules}
    tensors = {name.replace(".default.", "."): tensor for name, tensor in adapters.items()} | whole
    folder_tensors = {f"base_model.model.{name}": tensors[name].contiguous() for name in sorted(tensors)}
    safetensors.torch.save_file(folder_tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    repository, revision = model_card.base_repository(run)
    config = LoraConfig(
        r=run.training["lora"]["rank"],
        lora_alpha=run.training["lora"]["alpha"],
        target_modules=sorted({name.partition(".lora_")[0] for name in adapters}),
        modules_to_save=modules or None,
        base_model_name_or_path=repository,
        revision=revision,
        inference_mode=True,
    ).to_dict()
    settings = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    files.write_json(folder / "adapter_config.json", settings)
    _write_processor(segmenter, folder)
    return f"peft.PeftModel.from_pretrained({type(segmenter.network).__name__} of the base model, FOLDER)"
