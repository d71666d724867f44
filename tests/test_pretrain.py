"""stages/pretrain: a pipeline of its own that trains the tiny checkpoints with the project's loop."""

import ast
import functools
import shutil

import asked
import by_prompts
import drawn
import first_weights
import numpy as np
import pretraining
import pytest
import rows
import settings
import ship
import torch
import yaml
from conftest import ROOT
from dvc.repo import Repo
from imports import STAGES, reached
from interactive import InteractiveSam, _iou
from promptseg import models
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.data import masks, records
from promptseg.models.sam import Sam
from promptseg.nn import sam_network, weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import LossContext
from promptseg.prompts import Prompt
from promptseg.training import checkpoint_manager
from promptseg.training.checkpoint_manager import CheckpointManager
from promptseg.training.losses import dice
from transformers import SamConfig, SamModel

PRETRAIN = STAGES / "pretrain"
KINDS = (("general", 1.0),)
RAW = yaml.safe_load((PRETRAIN / "params.yaml").read_text())


@pytest.fixture(scope="module")
def how():
    """A training of seconds."""
    small = {
        "pictures": 4,
        "val": 2,
        "boxes": 2,
        "points": 2,
        "corrections": 1,
        "corrected": 0.999,
        "easy": {"flat": 1, "plain": 1},
    }
    train = {"epochs": 3, "batch": 2, "lr": 1e-3, "parts": ["all"], "ema": 0.5, "optimizer": "adamw", "clip": 1.0}
    return settings.SamSegmenter.model_validate({**RAW["sam"], **small, "train": train})


@functools.cache
def closure(path):
    """A file and all of ours that it imports, here and in the library."""
    found = reached(path)
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            file = PRETRAIN.joinpath(*name.split(".")).with_suffix(".py")
            if file.is_file():
                found = found | closure(file)
    return found


def test_every_stage_depends_on_all_the_code_that_it_reaches():
    with Repo(PRETRAIN) as repo:
        stages = list(repo.index.stages)
    expected = {f"phrases@{name}" for name in ("train", "val", "test", "examples")} | {"look", "evaluate"}
    assert {stage.name for stage in stages} == expected | {"sam", "medsam", "pa_sam", "clip", "clipseg"}
    for stage in stages:
        script = PRETRAIN / stage.cmd.split()[1]
        deps = {(PRETRAIN / dep.def_path).resolve() for dep in stage.deps}
        assert {dep for dep in deps if not dep.exists() and PRETRAIN / "data" not in dep.parents} == set()
        code = {path for path in closure(script) if path.name != "__init__.py"}
        missing = [str(path) for path in code if deps.isdisjoint({path, *path.parents})]
        assert missing == [], stage.name


def test_the_project_itself_knows_nothing_of_it():
    with Repo(ROOT) as repo:
        assert not [stage.addressing for stage in repo.index.stages if "pretrain" in str(stage.path_in_repo)]


def test_its_params_are_checked(tmp_path):
    settings.load(PRETRAIN / "params.yaml")
    for change, line in (({"kinds": {"foggy": 1.0}}, "foggy"), ({"boxes": 3}, "as many"), ({"speed": 1}, "speed")):
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump({**RAW, "sam": {**RAW["sam"], **change}}))
        with pytest.raises(UserError, match=line):
            settings.load(path)


@pytest.fixture(scope="module")
def begun():
    """First weights, fitted to pictures of four flat regions each."""
    torch.manual_seed(0)
    return first_weights.draw(SamModel(SamConfig(**by_prompts.SIZE)), _regions(16)[0]).eval()


def _regions(count):
    """Pictures (n, 3, 128, 128) of four regions, each in a color of its own, and the regions' numbers (n, 128, 128)."""
    numbers = torch.nn.functional.interpolate(torch.randn(count, 4, 5, 5), (128, 128), mode="bicubic").argmax(dim=1)
    colors = torch.randn(count, 4, 3)
    return torch.stack([own[of] for own, of in zip(colors, numbers)]).movedim(3, 1), numbers


def test_before_it_learns_a_point_is_answered_by_what_is_like_its_place(begun):
    torch.manual_seed(1)
    pixels, numbers = _regions(40)
    asked = torch.randint(8, 120, (40, 2))
    with torch.no_grad():
        logits = begun(pixels, input_points=asked[:, None, None] + 0.5, multimask_output=False).pred_masks[:, 0, 0]
    areas = []
    for answer, of, (x, y) in zip(logits, numbers[:, 1::2, 1::2], asked // 2):
        inside, outside = answer[of == of[y, x]], answer[of != of[y, x]]
        if len(outside):
            areas.append((inside[:, None] > outside[None]).float().mean())
    assert torch.stack(areas).mean() > 0.7
    assert -2.5 < logits.mean() < 0, "neither all nor nothing is marked"


def test_places_are_in_the_tokens_and_the_same_seed_draws_the_same(begun):
    places = begun.vision_encoder.pos_embed[0].flatten(0, 1)
    apart = torch.cdist(places, places) + 1e9 * torch.eye(len(places))
    assert apart.min() > 0.1, "two places look the same"
    torch.manual_seed(0)
    again = first_weights.draw(SamModel(SamConfig(**by_prompts.SIZE)), _regions(16)[0]).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in begun.state_dict().items())


def test_a_sample_is_boxes_and_then_points_of_what_they_ask_for():
    one, again = (drawn.sample(0, "train", 3, KINDS, 4, 4, 0.1) for _ in range(2))
    assert (one.image == again.image).all() and len(one.prompts) == len(one.answers) == 8
    assert [prompt.box is not None for prompt in one.prompts] == 4 * [True] + 4 * [False]
    for prompt, answer in zip(one.prompts, one.answers, strict=True):
        if prompt.box is None:
            assert answer[int(prompt.points[0, 1]), int(prompt.points[0, 0])]
        else:
            y, x = np.nonzero(answer)
            tight = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
            assert (np.abs(prompt.box - tight) <= 20).all() and (prompt.box[2:] > prompt.box[:2]).all()


def test_without_jitter_boxes_are_true_and_the_rest_is_the_same():
    true, moved = (drawn.sample(0, "train", 3, KINDS, 4, 4, jitter) for jitter in (0.0, 0.1))
    for prompt, other, answer in zip(true.prompts[:4], moved.prompts[:4], true.answers, strict=False):
        assert (prompt.box == masks.box(answer)).all() and (other.box != prompt.box).any()
    assert all(
        (one.points == other.points).all() for one, other in zip(true.prompts[4:], moved.prompts[4:], strict=True)
    )


def test_each_epoch_has_pictures_of_its_own_and_measuring_always_the_same(how):
    split = drawn.Drawn("train", 3, Sam(sam_network.create(SamModel, "tiny", 0)), how, 0, Processes())
    first, second, measured, again = (split.take(1, epoch).answers for epoch in (1, 2, 0, 0))
    assert not np.array_equal(first[0], second[0])
    assert all(np.array_equal(one, other) for one, other in zip(measured, again, strict=True))


def test_the_easy_epochs_have_their_kinds_of_pictures_and_measuring_never_has(how, monkeypatch):
    kinds, real = [], drawn.sample

    def sample(seed, split, number, kinds_, *rest):
        kinds.append([name for name, _ in kinds_])
        return real(seed, split, number, kinds_, *rest)

    monkeypatch.setattr(drawn, "sample", sample)
    split = drawn.Drawn("train", 3, Sam(sam_network.create(SamModel, "tiny", 0)), how, 0, Processes())
    for epoch in (1, 2, 3, 0):
        split.take(1, epoch)
    assert kinds == [["flat"], ["plain"], ["general"], ["general"]]


def test_pictures_drawn_ahead_by_other_processes_are_the_same(how, monkeypatch):
    segmenter = Sam(sam_network.create(SamModel, "tiny", 0))
    alone, helped = (drawn.Drawn("train", 4, segmenter, how, 0, Processes()) for _ in range(2))
    monkeypatch.setenv("PYTHONPATH", f"{PRETRAIN}:{STAGES}")
    helped._pool = drawn._pool(1)
    for epoch in (1, 2, 0):
        for index in (2, 0, 3, 1):
            mine, theirs = (split.take(index, epoch).answers for split in (alone, helped))
            assert all(np.array_equal(one, other) for one, other in zip(mine, theirs, strict=True))
    helped._pool.shutdown()


@pytest.fixture(scope="module")
def lesson(how):
    segmenter = InteractiveSam(sam_network.create(SamModel, "tiny", 0))
    split = drawn.Drawn("train", 2, segmenter, how, 0, Processes())
    asked_of = [split.take(index, 1) for index in (0, 1)]
    target, weight = split.truth(asked_of, segmenter.side)
    given = LossContext(dice, lambda side: (target, weight), 1, [5, 6])
    return segmenter, split.features(asked_of), [one.prompts for one in asked_of], given


def test_a_point_is_answered_by_three_masks_and_everything_else_by_one(lesson, monkeypatch):
    segmenter, features, prompts, given = lesson
    calls, real = [], segmenter.network.forward

    def forward(*args, **named):
        points, boxes = named["input_points"], named["input_boxes"]
        shapes = [0 if points is None else points.shape[2], boxes is not None, named["input_masks"] is not None]
        calls.append((*shapes, named["multimask_output"]))
        return real(*args, **named)

    monkeypatch.setattr(segmenter.network, "forward", forward)
    segmenter.corrections, segmenter.corrected = 2, 1.0
    logits, losses = segmenter.teach(features, prompts, given)
    assert logits.shape == (8, segmenter.side, segmenter.side) and losses.shape == (8,) and losses.requires_grad
    boxes = [(0, True, False, False), (1, True, True, False), (2, True, True, False), (2, True, True, False)]
    points = [(1, False, False, True), (2, False, True, False), (3, False, True, False), (3, False, True, False)]
    assert calls == boxes + points


def test_only_a_share_of_the_pictures_is_corrected_and_none_when_it_is_measured(lesson):
    segmenter, *_, given = lesson
    segmenter.corrections, segmenter.corrected = 2, 0.5
    many = LossContext(given.loss, given.truth, 1, list(range(400)))
    (others, none), (chosen, some) = segmenter._lengths(many)
    assert sorted(others + chosen) == list(range(400)) and 150 < len(chosen) < 250 and (none, some) == (-1, 2)
    assert segmenter._lengths(LossContext(given.loss, given.truth, 0, [1, 2, 3])) == [([0, 1, 2], -1)]


def test_the_first_epochs_learn_by_cross_entropy_and_the_others_by_the_focal_loss(lesson):
    segmenter, features, prompts, given = lesson
    segmenter.corrections, segmenter.corrected, segmenter.easy = 0, 0.0, 1
    losses = {
        epoch: segmenter.teach(features, prompts, LossContext(dice, given.truth, epoch, [5, 6]))[1] for epoch in range(3)
    }
    assert torch.equal(losses[0], losses[1]) and not torch.allclose(losses[1], losses[2])


def test_a_correction_lies_where_the_answer_is_wrong_and_says_what_is_there(lesson):
    segmenter, *_ = lesson
    target = torch.zeros(2, 128, 128)
    target[:, 20:60, 30:90] = 1
    answer = torch.where(target > 0, 5.0, -5.0)
    answer[0, 20:25, 30:90] = -5  # missed
    answer[1, 100:110, 100:110] = 5  # invented
    points, labels = segmenter._corrected(None, None, answer, target, torch.ones_like(target), torch.Generator())
    assert labels[:, 0, 0].tolist() == [1, 0]
    (x0, y0), (x1, y1) = (points[:, 0, 0] * segmenter.side / segmenter.frame.size).tolist()
    assert 20 <= y0 < 25 and 30 <= x0 < 90 and 100 <= y1 < 110 and 100 <= x1 < 110


def test_the_iou_that_the_head_learns_is_that_of_the_masks():
    target = torch.zeros(1, 8, 8)
    target[:, :4] = 1
    logits = torch.full((1, 8, 8), -1.0)
    logits[:, 2:6] = 1
    assert _iou(logits, target, torch.ones_like(target)).item() == pytest.approx(2 / 6)


def test_what_was_trained_loads_as_sam_and_a_killed_training_ends_with_the_same_bytes(how, tmp_path, monkeypatch):
    def train(name):
        paths = tmp_path / "state", tmp_path / name, tmp_path / f"{name}.csv"
        pretraining.train("sam", by_prompts.sam, how, 0, None, *paths)
        return [(tmp_path / name / "model.safetensors").read_bytes(), (tmp_path / f"{name}.csv").read_bytes()]

    whole, real = train("whole"), CheckpointManager.write

    class Killed(BaseException):
        pass

    def killed(self, rows, *rest):
        real(self, rows, *rest)
        if len(rows) == 1:
            raise Killed

    monkeypatch.setattr(CheckpointManager, "write", killed)
    monkeypatch.setattr(checkpoint_manager, "EVERY", 0.0)
    with pytest.raises(Killed):
        train("broken")
    assert (tmp_path / "state").exists()
    assert train("broken") == whole and not (tmp_path / "state").exists()
    segmenter = models.load("sam").load(tmp_path / "whole", 1)
    stored = weights.read(tmp_path / "whole")[1]
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert all(value.dtype == torch.float32 for value in segmenter.parameters())
    figures = asked.all_of({"sam": segmenter}, settings.Test(pictures=2, prompts=4), 0, tmp_path, tmp_path)
    assert 0 <= figures["sam_box_iou"] <= 1 and set(figures["met"]) <= set(figures)


@pytest.mark.parametrize("name", ["medsam", "pa_sam"])
def test_the_relatives_begin_with_sam_and_learn_what_they_should(name, tmp_path):
    torch.manual_seed(0)
    sam = Sam(SamModel(SamConfig(**by_prompts.SIZE)))
    weights.write(tmp_path / "sam", sam.configuration(), pretraining.half(sam.state_dict()))
    train = {**RAW[name]["train"], "epochs": 1, "batch": 2}
    how = settings.SamSegmenter.model_validate({**RAW[name], "pictures": 2, "val": 1, "boxes": 2, "train": train})
    paths = tmp_path / "state", tmp_path / name, tmp_path / "curve.csv"
    pretraining.train(name, by_prompts.TRAINED[name], how, 0, tmp_path / "sam", *paths)
    made = models.load(name).load(tmp_path / name, 1).network.state_dict()
    kept = {key for key, value in sam.network.state_dict().items() if torch.equal(made[key], value.half().float())}
    encoder = {key for key in made if key.startswith("vision_encoder.")}
    if name == "pa_sam":
        assert encoder <= kept and "mask_decoder.iou_token.weight" in kept
        assert "mask_decoder.mask_tokens.weight" not in kept
    else:
        assert {key for key in made if key.startswith("prompt_encoder.")} <= kept
        assert not {key for key in encoder if key.endswith("qkv.weight")} & kept


def test_an_adapter_begins_with_nearly_what_its_sam_says(tmp_path, monkeypatch):
    torch.manual_seed(0)
    sam = Sam(first_weights.draw(SamModel(SamConfig(**by_prompts.SIZE)), torch.randn(4, 3, 128, 128)), single_mask=True)
    weights.write(tmp_path, sam.configuration(), sam.state_dict())
    sam.frame = ImageTransform(128, False, sam_network.MEAN, sam_network.STD)  # PA-SAM's
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    boxes = [[Prompt(box=np.array([10.0, 20, 70, 90])), Prompt(box=np.array([50.0, 5, 120, 60]))]]

    @torch.inference_mode()
    def apart():
        how = settings.SamSegmenter.model_validate(RAW["pa_sam"])
        adapted = by_prompts.pa_sam(how, 0, tmp_path, Processes()).segmenter.eval()
        said = sam.eval().decode(sam.encode([picture]), boxes)[0]
        return ((adapted.adapt(adapted.encode([picture]), boxes, hard=False).logits - said).std() / said.std()).item()

    begun = apart()
    monkeypatch.setattr(first_weights, "unheard", lambda decoder: None)
    at_random = apart()
    assert begun < 0.05 and at_random > 5 * begun


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Containers of phrases, by name."""
    folder = tmp_path_factory.mktemp("phrases")
    how = settings.Phrases(kind="general", train=12, val=2, test=6, examples=4, absent=0.25)
    for name in ("train", "again", "test", "examples"):
        rows.write(how, 0, "train" if name == "again" else name, folder / name)
    return folder


def test_phrases_stand_in_a_container_with_their_masks_and_examples(written):
    assert (written / "train").read_bytes() == (written / "again").read_bytes()
    pairs = list(records.pairs(written / "train"))
    assert len(pairs) == 12 and len({pair.id for pair in pairs}) == 12
    assert 2 <= sum(not (records.mask(pair) == 1).any() for pair in pairs) <= 3
    for pair in [*pairs, *records.pairs(written / "examples")]:
        image, mask = records.support(pair)
        assert pair.text and image.shape[:2] == mask.shape and records.mask(pair).shape == (pair.height, pair.width)
        assert mask.any() or not pair.id.startswith("examples")
        assert (records.mask(pair) == 1).any() or not pair.id.startswith("examples")


def test_sam2_may_be_asked_the_same_as_a_yardstick():
    figures = asked.all_of(
        {"sam2": models.load("sam2").create("tiny", 0)}, settings.Test(pictures=1, prompts=2), 0, None, None
    )
    assert {"sam2_box_iou", "sam2_point_iou"} < figures.keys() and not figures["met"]


def test_a_tiny_clipseg_can_be_asked_about_them(written):
    segmenter = models.load("clipseg").create("tiny", 0)
    figures = asked.all_of({"clipseg": segmenter}, None, 0, written / "test", written / "examples")
    assert {"clipseg_text_iou", "clipseg_false_foreground", "clipseg_image_iou"} == figures.keys() - {"met"}
    assert all(0 <= value <= 1 for name, value in figures.items() if name != "met")


def test_targets_are_met_from_the_side_that_they_say():
    assert asked.met({"sam_box_iou": 0.85, "clipseg_false_foreground": 0.03}) == {
        "sam_box_iou": True, "clipseg_false_foreground": False,
    }  # fmt: skip


def test_only_checkpoints_that_are_whole_and_small_enough_are_shipped(tmp_path, monkeypatch):
    for name in ("one", "two"):
        weights.write(tmp_path / "made" / name, {}, {"x": torch.ones(100)})
    ship.main(tmp_path / "made", tmp_path / "tiny")
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == ["one", "two"]
    weights.check(tmp_path / "tiny" / "two")
    (tmp_path / "made" / "one" / "config.json").write_text("{ }")
    with pytest.raises(UserError, match="one"):
        ship.main(tmp_path / "made", tmp_path / "tiny")
    shutil.rmtree(tmp_path / "made" / "one")
    monkeypatch.setattr(ship, "MOST", 10)
    with pytest.raises(UserError, match="at most"):
        ship.main(tmp_path / "made", tmp_path / "tiny")
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == ["one", "two"]
