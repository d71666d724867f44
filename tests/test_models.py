"""One contract test for all models: a new file in models/ is tested without a line being added here."""

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.base import params
from promptseg.base.errors import Problem
from promptseg.commands.checking import segmenter_class
from promptseg.features import finetuned
from promptseg.learning.losses import dice
from promptseg.networks import weights
from promptseg.networks.prompts import Example, Prompt

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
POINTS = np.array([[20.5, 30.5], [40.5, 10.5], [5.5, 50.5]])


def picture(seed: int, height: int = 60, width: int = 80, gray: bool = False) -> np.ndarray:
    shape = (height, width) if gray else (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


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
    example = Example(picture(7 + int(shift)), shown, tuple(settings.prepare)) if settings.support else None
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
    with pytest.raises(Problem, match="changed since it was written"):
        models.load(name).load(tmp_path / "c", 1)


@MODELS
def test_shapes_and_independence_of_company(name, tiny):
    """A picture's answer is its own: the others in the batch, and the other prompts, do not matter."""
    model = tiny(name)
    pictures = [picture(0), picture(1, 90, 50), picture(2, gray=True)]
    with torch.no_grad():
        together = model.encode(pictures)
        for settings in cases(name):
            rows = [[questions(settings), questions(settings, 3.0)] for _ in pictures]
            logits = model.decode(together, rows)
            side = logits.shape[-1]
            assert logits.shape == (3, 2, side, side) and logits.isfinite().all()
            for i, one in enumerate(pictures):
                alone = model.decode(model.encode([one]), [rows[i][1:]])
                torch.testing.assert_close(alone[0, 0], logits[i, 1], rtol=1e-3, atol=1e-3 * float(logits.std()) + 1e-6)
            if settings.kind != "none":
                assert not torch.allclose(logits[0, 0], logits[0, 1], atol=1e-9), "the prompt makes no difference"
            assert not torch.allclose(logits[0], logits[1], atol=1e-9), "the picture makes no difference"


@MODELS
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
            with pytest.raises(Problem, match=f"{name} .*it takes"):
                model.check_prompt(settings[0])
    with pytest.raises(Problem, match=f"{name} has no part 'brain'.*{list(model.PARTS)[0]}"):
        model.check_parts(["brain"])


@MODELS
def test_each_part_learns_and_nothing_else_does(name, tmp_path):
    weights.write(tmp_path / "w", (m := models.load(name).create("tiny", 0)).configuration(), m.state_dict(), m.files())
    for part in m.PARTS:
        model = models.load(name).load(tmp_path / "w", 1)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        learned = model.train_only([part])
        model.trained()
        settings = cases(name)[0]
        side = model.decode(model.encode([picture(0)]), [[questions(settings)]]).shape[-1]
        target = (torch.arange(side) < side // 2).float().expand(1, side, side)
        optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=2e-3)
        losses = []
        model.train()
        features = {key: value.detach() for key, value in model.encode([picture(0)]).items()}
        for _ in range(12):
            loss = dice(model.decode(features, [[questions(settings)]])[:, 0], target, torch.ones_like(target)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
        assert changed and changed <= set(learned)
        assert losses[-1] < losses[0] - 0.02, losses


@MODELS
def test_what_was_learned_goes_back_into_the_same_checkpoint_only(name, tmp_path):
    model = models.load(name).create("tiny", 0)
    learned = model.train_only(list(model.PARTS))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.01
    finetuned.write(tmp_path / "w", model, learned, "digest", {})
    fresh = models.load(name).create("tiny", 0)
    with pytest.raises(Problem, match="another checkpoint"):
        finetuned.apply(fresh, "other", tmp_path / "w")
    finetuned.apply(fresh, "digest", tmp_path / "w")
    assert all(torch.equal(value, fresh.state_dict()[key]) for key, value in model.state_dict().items())


def test_unet_takes_as_many_classes_as_the_dataset_has(tmp_path):
    model = models.load("unet").create("tiny", 0)
    weights.write(tmp_path / "w", model.configuration(), model.state_dict())
    three = models.load("unet").load(tmp_path / "w", 3)
    logits = three.decode(three.encode([picture(0)]), [[Prompt(target) for target in (1, 2, 3)]])
    assert logits.shape[1] == 3
    same = models.load("unet").load(tmp_path / "w", 3)
    assert all(torch.equal(value, same.state_dict()[key]) for key, value in three.state_dict().items())


def test_an_unknown_model_answers_with_the_known_ones():
    with pytest.raises(Problem, match="unknown model 'sam3'; known: .*clipseg.*unet"):
        models.load("sam3")
