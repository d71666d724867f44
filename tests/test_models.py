"""One contract test for all models: a new file in models/ is tested without a line being added here."""

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.cli.check import segmenter_class
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.nn import finetuned_weights, lora, weights
from promptseg.prompts import Prompt, SupportExample
from promptseg.training.losses import dice

KINDS = {
    "points": [params.Prompt(points=1), params.Prompt(points=3)],
    "box": [params.Prompt(box=True)],
    "mask": [params.Prompt(mask=True)],
    "text": [params.Prompt(text=["black spots"])],
    "image": [params.Prompt(support=True)],
    "text + image": [params.Prompt(text=["black spots"], support=True)],
    "none": [params.Prompt()],
    "automatic": [params.Prompt(automatic=True)],
}
MODELS = pytest.mark.parametrize("name", models.names())
CLOUDS = [name for name in models.names() if segmenter_class(name).MODALITY == "cloud"]
TRAINED = pytest.mark.parametrize("name", [name for name in models.names() if segmenter_class(name).PARTS])
POINTS = np.array([[20.5, 30.5], [40.5, 10.5], [5.5, 50.5]])


def picture(seed: int, height: int = 60, width: int = 80, gray: bool = False) -> np.ndarray:
    shape = (height, width) if gray else (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def given(name: str) -> list[np.ndarray]:
    """Three different things that a model takes; clouds are of equally many points."""
    if name in CLOUDS:
        return [picture(seed, 70, 2) for seed in range(3)]
    return [picture(0), picture(1, 90, 50), picture(2, gray=True)]


def questions(settings: params.Prompt, shift: float = 0.0) -> Prompt:
    if settings.kind == "points":
        return Prompt(points=POINTS[: settings.points] + shift, labels=np.ones(settings.points, np.int64))
    if settings.kind == "box":
        return Prompt(box=np.array([10.0, 12.0, 50.0, 40.0]) + shift)
    if settings.kind == "mask":
        mask = np.zeros((256, 256), np.float32)
        mask[40 + int(20 * shift) : 160, 30:200] = 1
        return Prompt(mask=mask)
    text = settings.text[0] + ("!" if shift else "") if settings.text else None
    shown = np.zeros((60, 80), bool)
    shown[10:40, 20:60] = True
    example = SupportExample(picture(7 + int(shift)), shown, tuple(settings.prepare)) if settings.support else None
    return Prompt(text=text, example=example, mix=settings.mix if text and example else None)


def cases(name: str) -> list[params.Prompt]:
    """Prompts that `decode` takes; automatic masks are asked for in points."""
    kinds = sorted(segmenter_class(name).PROMPTS - {"automatic"})
    return [settings for kind in kinds for settings in KINDS[kind]]


@pytest.fixture(scope="module")
def tiny():
    made = {}

    def make(name: str):
        if name not in made:
            made[name] = models.load(name).create("tiny", 0)
        return made[name]

    return make


@MODELS
def test_the_seed_decides_the_weights(name):
    first, again, other = (models.load(name).create("tiny", seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@MODELS
def test_a_checkpoint_comes_back_as_it_was_and_with_the_same_bytes(name, tiny, tmp_path):
    for folder in ("a", "b"):
        weights.write(tmp_path / folder, tiny(name).configuration(), tiny(name).state_dict(), tiny(name).files())
    loaded = models.load(name).load(tmp_path / "a", 1)
    assert weights.digest(tmp_path / "a") == weights.digest(tmp_path / "b")
    state = loaded.state_dict()
    assert state.keys() == tiny(name).state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in tiny(name).state_dict().items())
    assert not loaded.training and loaded.frame == tiny(name).frame


@MODELS
def test_a_changed_byte_in_a_checkpoint_is_refused(name, tiny, tmp_path):
    weights.write(tmp_path / "c", tiny(name).configuration(), tiny(name).state_dict(), tiny(name).files())
    data = bytearray((tmp_path / "c" / weights.TENSORS).read_bytes())
    data[len(data) // 2] ^= 4
    (tmp_path / "c" / weights.TENSORS).write_bytes(data)
    with pytest.raises(UserError, match="changed since it was written"):
        models.load(name).load(tmp_path / "c", 1)


@MODELS
def test_shapes_and_independence_of_company(name, tiny):
    """A picture's answer is its own: the others in the batch, and the other prompts, do not matter."""
    model = tiny(name)
    pictures = given(name)
    with torch.no_grad():
        together = model.encode(pictures)
        for settings in cases(name):
            rows = [[questions(settings), questions(settings, 3.0)] for _ in pictures]
            logits = model.decode(together, rows)
            side = logits.shape[-1]
            shape = pictures[0].shape[:2] if name in CLOUDS else (side, side)
            assert logits.shape == (3, 2, *shape) and logits.isfinite().all()
            for i, one in enumerate(pictures):
                alone = model.decode(model.encode([one]), [rows[i][1:]])
                torch.testing.assert_close(alone[0, 0], logits[i, 1], rtol=1e-3, atol=1e-3 * float(logits.std()) + 1e-6)
            if settings.kind != "none":
                assert not torch.allclose(logits[0, 0], logits[0, 1], atol=1e-9), "the prompt makes no difference"
            assert not torch.allclose(logits[0], logits[1], atol=1e-9), "the picture makes no difference"


@pytest.mark.parametrize("name", sorted({*models.names()} - {*CLOUDS}))
def test_gray_is_the_same_as_gray_in_three_channels(name, tiny):
    gray = picture(5, gray=True)
    one, three = tiny(name).encode([gray]), tiny(name).encode([np.repeat(gray[..., None], 3, axis=2)])
    assert all(torch.equal(one[key], three[key]) for key in one)


@MODELS
def test_prompts_and_parts_that_it_does_not_have_are_refused_in_one_line(name):
    model = segmenter_class(name)
    for kind, settings in KINDS.items():
        if kind in model.PROMPTS:
            model.check_prompt(settings[0])
        else:
            with pytest.raises(UserError, match=f"{name} .*it takes"):
                model.check_prompt(settings[0])
    wrong = f"{name} has no part 'brain'.*{list(model.PARTS)[0]}" if model.PARTS else f"{name} has nothing to train"
    with pytest.raises(UserError, match=wrong):
        model.check_parts(["brain"])


@MODELS
def test_only_what_refines_takes_settings_of_it(name):
    model = segmenter_class(name)
    if "text" in model.PROMPTS:
        settings = params.Prompt(text=["black spots"], refine=params.Refine(by="points"))
        if model.REFINES:
            model.check_prompt(settings)
        else:
            with pytest.raises(UserError, match=f"{name} refines no answer"):
                model.check_prompt(settings)


@TRAINED
def test_each_part_learns_and_nothing_else_does(name, tmp_path):
    weights.write(tmp_path / "w", (m := models.load(name).create("tiny", 0)).configuration(), m.state_dict(), m.files())
    for part in m.PARTS:
        model = models.load(name).load(tmp_path / "w", 1)
        if part == "lora":
            lora.attach(model, model.LORA_TARGETS, params.Lora())
        before = {key: value.clone() for key, value in model.state_dict().items()}
        learned = model.set_trainable([part])
        model.trained()
        settings = cases(name)[0]
        side = model.decode(model.encode([picture(0)]), [[questions(settings)]]).shape[-1]
        target = (torch.arange(side) < side // 2).float().expand(1, side, side)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=2e-3)
        losses = []
        model.train()
        features = model.encode([picture(0)])
        assert any(value.requires_grad for value in features.values()) is model.encoder_trainable
        for _ in range(12):
            if model.encoder_trainable:
                features = model.encode([picture(0)])
            loss = dice(model.decode(features, [[questions(settings)]])[:, 0], target, torch.ones_like(target)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
        assert changed and changed <= set(learned)
        if part in ("encoder", "lora"):  # a random decoder that stays so hardly listens to them
            assert losses == sorted(losses, reverse=True), (part, losses)
        else:
            assert losses[-1] < losses[0] - 0.02, (part, losses)


@TRAINED
def test_what_was_learned_goes_back_into_the_same_checkpoint_only(name, tmp_path):
    for part in segmenter_class(name).PARTS:
        model, about, adapters = models.load(name).create("tiny", 0), {}, None
        if part == "lora":
            about = {"lora": {"rank": 4, "alpha": 2.0}}
            adapters = lora.attach(model, model.LORA_TARGETS, params.Lora(**about["lora"]))
        learned = model.set_trainable([part])
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter += 0.01
        finetuned_weights.write(
            tmp_path / "w", {name: model.state_dict()[name] for name in learned}, model.NAME, "digest", about
        )
        fresh = models.load(name).create("tiny", 0)
        with pytest.raises(UserError, match="another checkpoint"):
            finetuned_weights.apply(fresh, "other", tmp_path / "w")
        digest = finetuned_weights.apply(fresh, "digest", tmp_path / "w")
        assert (digest != "digest") is model.encoder_trainable
        if adapters:
            with torch.no_grad():
                one, two = (m.encode([picture(0)]) for m in (model, fresh))
            assert all(torch.allclose(one[key], two[key], rtol=1e-3, atol=1e-4) for key in one)
            adapters.merge_and_unload()
        assert model.state_dict().keys() == fresh.state_dict().keys()
        assert all(torch.equal(value, fresh.state_dict()[key]) for key, value in model.state_dict().items())


@MODELS
def test_lora_stands_alone_in_the_encoder(name):
    model = segmenter_class(name)
    if "lora" in model.PARTS:
        with pytest.raises(UserError, match=f"{name}: lora and encoder both train the encoder; name one of them"):
            model.check_parts(["lora", "encoder"])
        model.check_parts(["lora", "mask_decoder"])


def test_unet_takes_as_many_classes_as_the_dataset_has(tmp_path):
    model = models.load("unet").create("tiny", 0)
    weights.write(tmp_path / "w", model.configuration(), model.state_dict())
    three = models.load("unet").load(tmp_path / "w", 3)
    logits = three.decode(three.encode([picture(0)]), [[Prompt(target) for target in (1, 2, 3)]])
    assert logits.shape[1] == 3
    same = models.load("unet").load(tmp_path / "w", 3)
    assert all(torch.equal(value, same.state_dict()[key]) for key, value in three.state_dict().items())


def test_an_unknown_model_answers_with_the_known_ones():
    with pytest.raises(UserError, match="unknown model 'sam3'; known: .*clipseg.*unet"):
        models.load("sam3")


@MODELS
def test_what_a_model_does_not_take_is_refused_in_one_line(name):
    model = segmenter_class(name)
    model.check_modality(model.MODALITY, "mine")
    other = "picture" if name in CLOUDS else "cloud"
    with pytest.raises(UserError, match=f"^params.yaml: {name} takes {model.MODALITY}s, and mine holds {other}s$"):
        model.check_modality(other, "mine")
