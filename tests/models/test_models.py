"""Contract of all models: a new file in models/ is tested without a change here."""

import functools

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core.errors import UserError
from promptseg.core.train_config import Lora
from promptseg.nn import finetuned_weights, lora, weights
from promptseg.nn.trivial import TrivialSegmenter
from promptseg.prompts import Prompt, PromptConfig
from promptseg.prompts.box import Box
from promptseg.prompts.exemplars import Exemplars
from promptseg.prompts.mask import Mask
from promptseg.prompts.points import Points
from promptseg.prompts.support import Support, SupportImage
from promptseg.prompts.text import Text
from promptseg.training.losses import dice
from refusing import refused

KINDS = {
    "points": [PromptConfig(points=1), PromptConfig(points=3)],
    "box": [PromptConfig(box=True)],
    "box + points": [PromptConfig(box=True, points=1), PromptConfig(box=True, points=3)],
    "mask": [PromptConfig(mask=True)],
    "clicks": [PromptConfig(clicks=2)],
    "text": [PromptConfig(text=["black spots"])],
    "exemplars": [PromptConfig(exemplars=2)],
    "text + exemplars": [PromptConfig(text=["black spots"], exemplars=2)],
    "support": [PromptConfig(support=True)],
    "text + support": [PromptConfig(text=["black spots"], support=True)],
    "none": [PromptConfig()],
    "automatic": [PromptConfig(automatic=True)],
}
TRIVIAL = [name for name in models.names() if issubclass(models.load(name), TrivialSegmenter)]
MODELS = pytest.mark.parametrize("name", models.names())
POINT_CLOUD_MODELS = [name for name in models.names() if models.load(name).MODALITY == "point_cloud"]
TRAINABLE = pytest.mark.parametrize("name", [name for name in models.names() if models.load(name).TRAINABLE])
NEWEST = {"sam_hq", "seggpt"}  # whose newest weights are taken; the commit is then told
POINTS = np.array([[20.5, 30.5], [40.5, 10.5], [5.5, 50.5]])


def random_image(seed: int, height: int = 60, width: int = 80, gray: bool = False) -> np.ndarray:
    shape = (height, width) if gray else (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def inputs_of(name: str) -> list[np.ndarray]:
    """Three different inputs that a model takes; point clouds have equally many points."""
    if name in POINT_CLOUD_MODELS:
        return [random_image(seed, 70, 2) for seed in range(3)]
    return [random_image(0), random_image(1, 90, 50), random_image(2, gray=True)]


def build_prompt(config: PromptConfig, shift: float = 0.0) -> Prompt:
    """A prompt of the kind of these settings, in pixels of the input; another one where it is shifted."""
    parts = []
    if config.points:
        parts.append(Points(POINTS[: config.points] + shift, np.ones(config.points, np.int64)))
    if config.box:
        parts.append(Box(np.array([10.0, 12.0, 50.0, 40.0]) + shift))
    if config.mask:
        mask = np.zeros((256, 256), np.float32)
        mask[40 + int(20 * shift) : 160, 30:200] = 1
        parts.append(Mask(mask))
    if config.text:
        parts.append(Text(config.text[0] + ("!" if shift else "")))
    if config.exemplars:
        parts.append(Exemplars.of([[10 + shift, 12, 50 + 9 * shift, 40]], [[20, 30 + shift, 60, 55]]))
    if config.support:
        mask = np.zeros((60, 80), bool)
        mask[10:40, 20:60] = True
        shown = SupportImage(random_image(7 + int(shift)), mask)
        parts.append(Support((shown,), tuple(config.visual_prompt), config.image_weight))
    return Prompt.of(*parts)


def decodable(name: str) -> list[PromptConfig]:
    """Prompts that `decode` takes; automatic masks and clicks are decoded from points."""
    kinds = sorted(models.load(name).PROMPTS - {"automatic", "clicks"})
    return [config for kind in kinds for config in KINDS[kind]]


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.fixture(scope="module")
def tiny():
    return functools.cache(lambda name: models.load(name).create("tiny", 0))


@pytest.fixture
def checkpoint(name, tiny, tmp_path):
    weights.write(tmp_path / "c", tiny(name).configuration(), tiny(name).state_dict(), tiny(name).files())
    return tmp_path / "c"


def test_official_weights_are_pinned_to_a_commit():
    released = {name: models.load(name).OFFICIAL for name in models.names() if models.load(name).OFFICIAL[0]}
    assert released.keys() >= {"sam", "sam2", "medsam", "clipseg"}
    assert {name for name, (_, commit) in released.items() if commit is None} == NEWEST
    for repository, commit in released.values():
        assert repository.count("/") == 1 and (commit is None or len(commit) == 40 and int(commit, 16))


@MODELS
def test_weights_are_seeded(name, tiny):
    same, other = (models.load(name).create("tiny", seed).state_dict() for seed in (0, 1))
    assert equal(tiny(name).state_dict(), same) and not equal(other, same)


@MODELS
def test_a_checkpoint_is_read_as_it_was_written_and_refused_once_a_byte_changed(name, tiny, checkpoint, tmp_path):
    model = tiny(name)
    weights.write(tmp_path / "again", model.configuration(), model.state_dict(), model.files())
    assert weights.digest(tmp_path / "again") == weights.digest(checkpoint)
    loaded = models.load(name).load(checkpoint, 1)
    assert equal(loaded.state_dict(), model.state_dict())
    assert not loaded.training and loaded.transform == model.transform
    data = bytearray((checkpoint / weights.TENSORS).read_bytes())
    data[len(data) // 2] ^= 4
    (checkpoint / weights.TENSORS).write_bytes(data)
    refused(lambda: models.load(name).load(checkpoint, 1), "changed since it was written")


@torch.no_grad()
@MODELS
def test_logits_do_not_depend_on_other_images_and_prompts(name, tiny):
    model, images = tiny(name), inputs_of(name)
    features = model.encode(images)
    each = [model.encode([image]) for image in images]
    assert all(values.dtype == torch.float32 for values in features.values())
    for config in decodable(name):
        rows = [[build_prompt(config), build_prompt(config, 3.0)] for _ in images]
        logits = model.decode(features, rows)
        side = logits.shape[-1]
        shape = images[0].shape[:2] if name in POINT_CLOUD_MODELS else (side, side)
        assert logits.shape == (3, 2, *shape) and logits.isfinite().all()
        for i, own in enumerate(each):
            alone, size = model.decode(own, [rows[i][1:]]), images[i].shape[:2]
            alone, among = (model.transform.to_image(each, *size) for each in (alone[0], logits[i, 1:]))
            torch.testing.assert_close(alone, among, rtol=1e-3, atol=1e-3 * float(logits.std()) + 1e-6)
        if config.kind != "none":
            assert not torch.allclose(logits[0, 0], logits[0, 1], atol=1e-9), "the prompt makes no difference"
        if name not in TRIVIAL:
            assert not torch.allclose(logits[0], logits[1], atol=1e-9), "the image makes no difference"


@pytest.mark.parametrize("name", sorted({*models.names()} - {*POINT_CLOUD_MODELS}))
def test_gray_images_equal_gray_images_in_three_channels(name, tiny):
    gray = random_image(5, gray=True)
    assert equal(tiny(name).encode([gray]), tiny(name).encode([np.repeat(gray[..., None], 3, axis=2)]))


@MODELS
def test_what_a_model_does_not_take_is_refused_in_one_line(name):
    model = models.load(name)
    for kind, configs in KINDS.items():
        if kind in model.PROMPTS:
            model.check_prompt(configs[0])
        else:
            refused(lambda: model.check_prompt(configs[0]), f"{name} ", "it takes")
    known = list(model.TRAINABLE)
    words = (f"{name} has no trainable 'brain'", known[0]) if known else (f"{name} has nothing to train",)
    refused(lambda: model.check_trainable(["brain"]), *words)
    if "lora" in known:
        message = f"{name}: lora and encoder both train the encoder; name one of them"
        refused(lambda: model.check_trainable(["lora", "encoder"]), message)
        model.check_trainable(["lora", "mask_decoder"])
    model.check_modality(model.MODALITY, "mine")
    other = "image" if name in POINT_CLOUD_MODELS else "point_cloud"
    takes, holds = (modality.replace("_", " ") + "s" for modality in (model.MODALITY, other))
    with pytest.raises(UserError, match=f"^params.yaml: {name} takes {takes}, and mine holds {holds}$"):
        model.check_modality(other, "mine")


def test_an_unknown_model_is_refused_with_the_known_ones():
    refused(lambda: models.load("sam9"), "unknown model 'sam9'; known: ", "clipseg, ", "unet")


@TRAINABLE
def test_training_reduces_the_loss_and_changes_trainable_parameters_only(name, checkpoint):
    for part in models.load(name).TRAINABLE:
        model = models.load(name).load(checkpoint, 1)
        if part == "lora":
            lora.attach(model, model.LORA_TARGETS, Lora())
        before = {key: value.clone() for key, value in model.state_dict().items()}
        trainable = model.set_trainable([part])
        model.prepare_finetuned()
        model.train()
        prompts = [[build_prompt(decodable(name)[0])]]
        lr = 2e-3 if part in ("encoder", "lora") else 5e-3
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
        features, losses = model.encode([random_image(0)]), []
        assert any(value.requires_grad for value in features.values()) is model.encoder_trainable
        for _ in range(6):
            if model.encoder_trainable:
                features = model.encode([random_image(0)])
            logits = model.decode(features, prompts)[:, 0]
            target = (torch.arange(logits.shape[-1]) < logits.shape[-1] // 2).float().expand_as(logits)
            loss = dice(logits, target, torch.ones_like(target)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
        assert changed and changed <= set(trainable)
        if part in ("encoder", "lora"):  # a frozen decoder with random weights hardly depends on them
            assert losses == sorted(losses, reverse=True), (part, losses)
        else:
            assert losses[-1] < losses[0] - 0.01, (part, losses)


@torch.no_grad()
@TRAINABLE
def test_finetuned_weights_fit_the_checkpoint_that_they_were_trained_from_only(name, checkpoint, tmp_path):
    for part in models.load(name).TRAINABLE:
        model, metadata, adapters = models.load(name).load(checkpoint, 1), {}, None
        if part == "lora":
            metadata = {"lora": {"rank": 4, "alpha": 2.0}}
            adapters = lora.attach(model, model.LORA_TARGETS, Lora(**metadata["lora"]))
        trainable = model.set_trainable([part])
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.01
        trained = {key: model.state_dict()[key] for key in trainable}
        finetuned_weights.write(tmp_path / "w", trained, model.NAME, "digest", metadata)
        fresh = models.load(name).load(checkpoint, 1)
        refused(lambda: finetuned_weights.apply(fresh, "other", tmp_path / "w"), "another checkpoint")
        digest = finetuned_weights.apply(fresh, "digest", tmp_path / "w")
        assert (digest != "digest") is model.encoder_trainable
        if adapters:
            expected, merged = (each.encode([random_image(0)]) for each in (model, fresh))
            assert all(torch.allclose(expected[key], merged[key], rtol=1e-3, atol=1e-4) for key in expected)
            adapters.merge_and_unload()
        assert equal(model.state_dict(), fresh.state_dict())


@pytest.mark.parametrize("single", [True, False])
def test_a_checkpoint_says_whether_the_decoder_always_returns_its_single_mask(single, tmp_path):
    model = models.load("sam").create("tiny", 0)
    model.single_mask = single
    weights.write(tmp_path / "c", model.configuration(), model.state_dict(), model.files())
    assert models.load("sam").load(tmp_path / "c", 1).single_mask is single
