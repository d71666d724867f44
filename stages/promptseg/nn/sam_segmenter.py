"""Segmenter for SAM and its relatives: points, boxes and masks through transformers' networks."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PretrainedConfig, PreTrainedModel, SamModel

from promptseg.nn import attention, precision, pretrained, sam_checkpoint, weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.overrides import override_forward
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt

MASK_LOGIT = 10.0  # logit of a pixel inside a mask prompt; its negative outside
LARGEST_LOGIT = 32.0  # of a prediction that is given back; SAM 2's predictor has the same limit
TINY_MASK_DECODER = dict(hidden_size=64, mlp_dim=128, num_attention_heads=4, iou_head_hidden_dim=64)
TINY = {
    "vision_config": dict(
        hidden_size=64, output_channels=64, num_hidden_layers=4, num_attention_heads=4, image_size=256, patch_size=8,
        window_size=8, global_attn_indexes=[1, 3], num_pos_feats=32, mlp_ratio=2.0, initializer_range=0.02,
    ),
    "prompt_encoder_config": dict(hidden_size=64, image_size=256, patch_size=8),
    "mask_decoder_config": TINY_MASK_DECODER,
}  # fmt: skip


class SamSegmenter(Segmenter):
    """A transformers network with `prompt_encoder`, `mask_decoder` and SAM's forward signature.

    Args:
        network: the network.

    Attributes:
        single_mask: always return the decoder's single mask, as a fine-tuned decoder was trained to. Otherwise a
            single point without a box, which is ambiguous, gets the best of three masks by predicted IoU, and every
            other prompt the single mask (Kirillov et al. 2023, section 3).
        NETWORK: class of the network.
        TINY: configuration of the tiny network.
        FULL: configuration of the full one, where it is not the default of its class.
    """

    NETWORK: ClassVar[type[PreTrainedModel]] = SamModel
    TINY: ClassVar[dict[str, Any]] = TINY
    FULL: ClassVar[dict[str, Any]] = {}
    PROMPTS = frozenset({"points", "box", "box + points", "mask", "clicks", "automatic"})
    ENCODER: ClassVar[tuple[str, ...]] = ("network.vision_encoder.",)
    LORA_TARGETS: ClassVar[tuple[str, ...]] = (".attn.qkv",)
    TRAINABLE = {
        "mask_decoder": ("network.mask_decoder.",),
        "encoder": ENCODER,
        "lora": ("network.vision_encoder.*.lora_",),
        "all": (*ENCODER, "network.prompt_encoder.", "network.mask_decoder."),
    }
    TRAIN_DEFAULTS = {"trainable": ["mask_decoder"], "loss": "dice", "lr": 1e-4, "batch_size": 2}

    single_mask: bool = False

    def __init__(self, network: PreTrainedModel):
        super().__init__()
        self.network, self.transform = network, self.image_transform(network.config)
        override_forward(network, attention.FORWARDS)

    @classmethod
    def create(cls, size: str, seed: int) -> Self:
        torch.manual_seed(seed)
        config = cls.NETWORK.config_class(**(cls.TINY if size == "tiny" else cls.FULL))
        return cls(cls.NETWORK(config)).eval()

    @classmethod
    def convert(cls, source: Path) -> Self:
        """From a folder of the hub, or a file of tensors named as in segment_anything or as in SamModel."""
        if weights.is_single_file(source):
            return cls(sam_checkpoint.load(cls.NETWORK, sam_checkpoint.read(source), source)).eval()
        return cls(pretrained.convert(cls.NETWORK, source)).eval()

    @classmethod
    def load(cls, folder: Path, classes: int) -> Self:
        config, tensors = weights.read(folder)
        model = cls(pretrained.load(cls.NETWORK, config, tensors, folder))
        model.single_mask = config["single_mask"]
        return precision.stored(model, config).eval()

    @staticmethod
    @abstractmethod
    def image_transform(config: PretrainedConfig) -> ImageTransform:
        """The image transform of a network of this configuration."""

    def encode(self, images: list[np.ndarray]) -> Features:
        with self.encoder_context():
            pixels = self.transform.to_input(images).to(self.device)
            return {"image": self.network.vision_encoder(pixels).last_hidden_state.float()}

    def image_embeddings(self, features: Features) -> torch.Tensor | list[torch.Tensor]:
        """Features as the network's forward takes them: the embedding, after finer maps where a model has them."""
        return features["image"]

    def image_inputs(self, features: Features) -> dict[str, Any]:
        """Arguments of the network's forward that hold the features."""
        return {"image_embeddings": self.image_embeddings(features)}

    @property
    def side(self) -> int:
        """Side of mask logits and of mask prompts, pixels: four times that of the image embedding."""
        return 4 * self.network.prompt_encoder.image_embedding_size[0]

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        counts = {len(prompt.get("points").labels) for row in prompts for prompt in row if prompt.get("points")}
        if len(counts) <= 1:
            return self.decode_batch(features, prompts)
        # One by one: padded with points, a mask would depend on the other prompts.
        rows = []
        for index, row in enumerate(prompts):
            own = {name: values[index : index + 1] for name, values in features.items()}
            rows.append(torch.cat([self.decode_batch(own, [[prompt]]) for prompt in row], dim=1))
        return torch.cat(rows)

    def decode_batch(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        """As `decode`, with the same number of points in all prompts."""
        masks = self._stack(prompts, "mask", "values")
        if masks is not None:
            # The networks take one mask an image: repeat the image for each prompt.
            n, p = len(prompts), len(prompts[0])
            features = {name: values.repeat_interleave(p, dim=0) for name, values in features.items()}
            prompts = [[prompt] for row in prompts for prompt in row]
            logits = self._predict(features, prompts, self._mask_input(masks.flatten(0, 1)))
            return logits.reshape(n, p, *logits.shape[-2:])
        return self._predict(features, prompts)

    def refine(self, features: Features, prompts: list[Prompt], logits: torch.Tensor) -> torch.Tensor:
        # The last prediction is a mask prompt, as in training (Kirillov et al. 2023, appendix A).
        repeated = {name: values.expand(len(prompts), -1, -1, -1) for name, values in features.items()}
        masks = logits[:, None].clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
        return self._predict(repeated, [[prompt] for prompt in prompts], masks)[:, 0]

    def _predict(
        self, features: Features, prompts: list[list[Prompt]], masks: torch.Tensor | None = None
    ) -> torch.Tensor:
        """As `decode`. masks: (n, 1, side, side) logits, with one prompt an image."""
        points, labels, boxes = self.sparse_prompts(prompts)
        single_point = points is not None and points.shape[2] == 1 and boxes is None and masks is None
        ambiguous = single_point and not self.single_mask
        out = self.network(
            **self.image_inputs(features),
            input_points=points,
            input_labels=labels,
            input_boxes=boxes,
            input_masks=masks,
            multimask_output=ambiguous,
        )
        if not ambiguous:
            return out.pred_masks[:, :, 0]
        best = out.iou_scores.argmax(dim=2)[:, :, None, None, None]
        return out.pred_masks.take_along_dim(best, dim=2)[:, :, 0]

    def _mask_input(self, masks: torch.Tensor) -> torch.Tensor:
        """Masks (m, size, size) in [0, 1] over the input -> (m, 1, side, side) logits for the prompt encoder.

        SAM is trained with the logits of its own previous prediction (Kirillov et al. 2023, appendix A).
        """
        return MASK_LOGIT * (2 * F.adaptive_avg_pool2d(masks[:, None], self.side) - 1)

    def prepare_finetuned(self) -> None:
        self.single_mask = True  # fine-tuning trains the single mask, whatever the prompt

    def configuration(self) -> dict:
        network = pretrained.configuration(self.network)
        return {"model": self.NAME, "network": network, "single_mask": self.single_mask}

    def sparse_prompts(
        self, prompts: list[list[Prompt]]
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        """Stack points and boxes of the prompts of n images, p each.

        Returns:
            Points (n, p, k, 2) float32, their labels (n, p, k) int64, and boxes (n, p, 4) float32, on the model's
            device; None where the prompts have none.
        """
        return (
            self._stack(prompts, "points", "coordinates"),
            self._stack(prompts, "points", "labels", torch.long),
            self._stack(prompts, "box", "corners"),
        )

    def _stack(
        self, prompts: list[list[Prompt]], kind: str, field: str, dtype: torch.dtype = torch.float32
    ) -> torch.Tensor | None:
        """Stack a field of one part of all prompts, (n, p, ...); None where prompts have no such part."""
        if prompts[0][0].get(kind) is None:
            return None
        values = np.stack([np.stack([getattr(prompt.get(kind), field) for prompt in row]) for row in prompts])
        return torch.as_tensor(values, dtype=dtype, device=self.device)
