"""Released checkpoints: built in, and from a folder in the hub's layout."""

import json
import os

import pytest
import torch
from promptseg import models, tiny
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.download import checkpoints
from promptseg.nn import weights
from safetensors.torch import load_file, save_file
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, Sam2Config, Sam2Model, SamConfig, SamModel

REPOSITORY, REVISION = "someone/sam-tiny", "0123456789abcdef" * 2 + "01234567"
OFFICIAL = params.Model(official=REPOSITORY, revision=REVISION)
CLASSES = {
    "sam": (SamConfig, SamModel),
    "sam2": (Sam2Config, Sam2Model),
    "clipseg": (CLIPSegConfig, CLIPSegForImageSegmentation),
}
RELEASED = pytest.mark.parametrize("name", CLASSES)
TENSORS = "model.safetensors"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 375042383\n"
PAGE = b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Folders as transformers saves them, and as the hub has them: tiny ones, with weights unlike the built-in."""
    folder = tmp_path_factory.mktemp("released")
    for name, (config, network) in CLASSES.items():
        torch.manual_seed(5)
        network(config(**models.load(name).TINY)).save_pretrained(folder / name)
        (folder / name / "README.md").write_text("about")
    for file, content in models.load("clipseg").create("tiny", 0).files().items():
        (folder / "clipseg" / file).write_bytes(content)
    return folder


@pytest.fixture
def released(originals, tmp_path):
    """A copy of one model's folder, for a test to spoil; the large file is linked until then."""

    def copy(name: str):
        folder = tmp_path / f"released-{name}"
        folder.mkdir()
        for path in (originals / name).iterdir():
            (folder / path.name).symlink_to(path)
        return folder

    return copy


def replace(path, content: bytes | dict | None) -> None:
    """Replace a file by other bytes, other tensors, or none."""
    path.unlink(missing_ok=True)
    if isinstance(content, dict):
        save_file(content, path, {"format": "pt"})
    elif content is not None:
        path.write_bytes(content)


def obtain(name, folder, source=None, settings=None, checkpoints_of_scale="official", seed=0):
    settings = settings or params.Model(source=source and str(source))
    checkpoints.obtain(name, settings, params.Scale(checkpoints=checkpoints_of_scale), seed, folder)
    return weights.read(folder)[1]


def same(found, expected) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(value, expected[key].to(value.dtype)) for key, value in found.items()
    )


def network_of(name, folder):
    return models.load(name).load(folder, 1).network


def refused(tmp_path, *arguments, **settings) -> str:
    """The message: one line that a person reads. Nothing is left."""
    out = tmp_path / "data" / "out"
    with pytest.raises(UserError) as caught:
        obtain(*arguments[:1], out, *arguments[1:], **settings)
    assert not out.parent.exists() or os.listdir(out.parent) == []
    message = " ".join(str(caught.value).split())
    assert len(message) < 600
    return message


def answer(name: str, network: torch.nn.Module) -> torch.Tensor:
    """What a transformers network says to one question."""
    config = network.config.prompt_encoder_config if name == "sam2" else network.config.vision_config
    side = config.image_size
    question = {"pixel_values": torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))}
    if name == "clipseg":
        question |= {"input_ids": torch.tensor([[512, 65, 66, 513]]), "interpolate_pos_encoding": True}
    else:
        labels = torch.ones(1, 1, 1, dtype=torch.long)
        question |= {"input_points": torch.tensor([[[[40.5, 60.5]]]]), "input_labels": labels}
    with torch.no_grad():
        out = network(**question)
    return out.logits if name == "clipseg" else torch.cat([out.pred_masks.flatten(), out.iou_scores.flatten()])


@RELEASED
def test_a_released_folder_becomes_ours_and_answers_as_before(name, originals, tmp_path):
    for folder in ("ours", "again"):
        obtain(name, tmp_path / folder, originals / name)
    assert weights.digest(tmp_path / "ours") == weights.digest(tmp_path / "again")
    weights.check(tmp_path / "ours")
    found, network = network_of(name, tmp_path / "ours"), CLASSES[name][1].from_pretrained(originals / name).eval()
    expected = answer(name, network)
    close = {"rtol": 1e-5, "atol": 1e-5 * float(expected.std())}  # sums may run in another order
    torch.testing.assert_close(answer(name, found), expected, **close)
    assert same(found.state_dict(), network.state_dict())
    for file in ("vocab.json", "merges.txt") if name == "clipseg" else ():
        assert (tmp_path / "ours" / file).read_bytes() == (originals / name / file).read_bytes()
    built_in = models.load(name).create("tiny", 0).network.state_dict()
    assert not same(built_in, network.state_dict()), "any weights would have passed"


def test_weights_in_half_precision_are_kept_in_full(originals, released, tmp_path):
    folder = released("sam")
    halves = {key: value.half() for key, value in load_file(originals / "sam" / TENSORS).items()}
    replace(folder / TENSORS, halves)
    obtain("sam", tmp_path / "ours", folder)
    state = network_of("sam", tmp_path / "ours").state_dict()
    assert all(state[key].dtype == torch.float32 and torch.equal(state[key], halves[key].float()) for key in halves)


def test_the_hub_s_video_model_gives_its_picture_part(originals, released, tmp_path):
    """SAM 2 is released as a video model: another type in its config.json, and tensors that pictures do not need."""
    folder = released("sam2")
    config = json.loads((originals / "sam2" / "config.json").read_text())
    replace(folder / "config.json", json.dumps({**config, "model_type": "sam2_video", "num_maskmem": 7}).encode())
    tensors = load_file(originals / "sam2" / TENSORS)
    replace(folder / TENSORS, {**tensors, "memory_encoder.x.weight": torch.ones(3)})
    obtain("sam2", tmp_path / "ours", folder)
    state = Sam2Model.from_pretrained(originals / "sam2").state_dict()
    assert same(network_of("sam2", tmp_path / "ours").state_dict(), state)


@pytest.mark.parametrize(
    "name, source, scale",
    [("edgetam", "tiny", "official"), ("sam", None, "tiny")]
    + [(name, "tiny", "official") for name in ("sam2", "medsam", "pa_sam", "clipseg")],
)
def test_the_built_in_weights_come_with_the_project_or_follow_from_the_seed(name, source, scale, tmp_path):
    found = obtain(name, tmp_path / "ours", source, checkpoints_of_scale=scale, seed=3)
    if name == "edgetam":
        expected = models.load(name).create("tiny", 3).state_dict()
    else:
        (shipped,) = (tiny.FOLDER / name).glob("*.safetensors")
        expected = load_file(shipped)
    assert same(models.load(name).load(tmp_path / "ours", 1).state_dict(), expected)
    assert found.keys() == expected.keys()


@pytest.mark.parametrize("name", ["clip_decoder_cnn", "clip_decoder_transformer", "clip_decoder_unet", "pointclip"])
def test_what_stands_on_clip_stands_on_the_built_in_one(name, tmp_path):
    obtain(name, tmp_path / "ours", "tiny")
    found = models.load(name).load(tmp_path / "ours", 1).state_dict()
    shipped = load_file(tiny.FOLDER / "clip" / weights.TENSORS)
    assert all(torch.equal(found[f"network.{key}"], value.to(torch.float32)) for key, value in shipped.items())


def test_a_model_without_released_weights_starts_from_seeded_ones(tmp_path, monkeypatch):
    small = models.load("sam").create("tiny", 0)  # quicker to make than a full one
    monkeypatch.setattr(models.load("unet"), "create", lambda size, seed: {("full", 4): small}[size, seed])
    assert same(obtain("unet", tmp_path / "ours", seed=4), small.state_dict())


NONE = {
    "config.json": [None, PAGE, POINTER, b"", b"{", b"[]", b"7", b"\xff\xfe{}"],
    TENSORS: [None, PAGE, POINTER, b"", "half", "one byte short"],
    "vocab.json": [None, PAGE, b"", b"[]", b"\xff\xfe\x00"],
    "merges.txt": [None, PAGE, b"\xff\xfe\x00"],  # empty, and `[]`, are no merges
}


@pytest.mark.parametrize(
    "name, file",
    [(name, file) for name in CLASSES for file in NONE if name == "clipseg" or file in ("config.json", TENSORS)],
)
def test_a_file_that_is_missing_or_no_such_file_is_named(name, file, originals, released, tmp_path):
    folder, whole = released(name), (originals / name / file).read_bytes()
    for content in NONE[file]:
        replace(folder / file, {"half": whole[: len(whole) // 2], "one byte short": whole[:-1]}.get(content, content))
        message = refused(tmp_path, name, folder)
        if content is None:
            assert message.startswith(f"{folder / file}: not found")
        elif file == TENSORS:
            assert message.startswith(f"{folder / file}: no readable weights") and "fetch it again" in message
        else:
            assert message.startswith(f"{folder / file}: ") if file == "config.json" else str(folder) in message
    if file == "merges.txt":
        for content in (b"", b"[]"):
            replace(folder / file, content)
            obtain(name, tmp_path / "ours", folder)
            assert (tmp_path / "ours" / file).read_bytes() == content


@RELEASED
def test_a_missing_tensor_and_one_of_another_shape_are_named(name, originals, released, tmp_path):
    folder, tensors = released(name), load_file(originals / name / TENSORS)
    key = sorted(key for key in tensors if "decoder" in key and key.endswith("weight"))[3]
    replace(folder / TENSORS, {**tensors, key: torch.cat([tensors[key]] * 2).contiguous()})
    message = refused(tmp_path, name, folder)
    assert message.startswith(f"{folder}: its tensors do not fit its config.json") and key in message
    del tensors[key]
    replace(folder / TENSORS, tensors)
    message = refused(tmp_path, name, folder)
    assert message.startswith(f"{folder}: 1 tensors of") and key in message


@pytest.mark.parametrize(
    "name, other, content",
    [
        ("sam", "clipseg", {"vision_config": 3}),
        ("sam2", "sam", {"vision_config": {"backbone_config": {"model_type": "x"}}}),
        ("clipseg", "sam2", {"text_config": []}),
    ],
)
def test_another_model_s_configuration_or_weights_are_refused(name, other, content, originals, released, tmp_path):
    assert str(originals / other) in refused(tmp_path, name, originals / other)
    folder = released(name)
    replace(folder / "config.json", json.dumps(content).encode())
    assert refused(tmp_path, name, folder).startswith(f"{folder}: ")


def test_a_source_that_is_none_is_named(originals, tmp_path):
    nowhere, folder = tmp_path / "nowhere", originals / "sam"
    start = f"sam: nothing at {str(nowhere)!r}; as its source (models.sam.source in params.yaml)"
    assert refused(tmp_path, "sam", nowhere).startswith(start)
    message = refused(tmp_path, "sam", folder / TENSORS)
    assert str(folder / TENSORS) in message and "a folder" in message
    missing = "conv1.weight is missing in place of (64, 3, 7, 7); a ResNet-34 is expected"
    assert missing in refused(tmp_path, "unet", folder)
    assert "unet_box has no released weights" in refused(tmp_path, "unet_box", folder)
    assert refused(tmp_path, "sam9").startswith("unknown model 'sam9'; known: ")


def test_the_repository_of_params_comes_before_the_model_s_own():
    assert checkpoints.official(models.load("sam"), params.Model()) == models.load("sam").OFFICIAL
    assert checkpoints.official(models.load("sam"), OFFICIAL) == (REPOSITORY, REVISION)
    assert checkpoints.official(models.load("unet"), params.Model()) == (None, None)
    for name in models.names():
        repository, revision = checkpoints.official(models.load(name), params.Model())
        assert repository is None or "/" in repository
        assert revision is None or params.Model(official=repository, revision=revision)


def test_after_a_failure_the_old_checkpoint_is_there(released, tmp_path):
    folder, out = released("sam"), tmp_path / "data" / "sam"
    obtain("sam", out, folder)
    digest = weights.digest(out)
    (folder / "config.json").unlink()
    with pytest.raises(UserError):
        obtain("sam", out, folder)
    weights.check(out)
    assert weights.digest(out) == digest and os.listdir(out.parent) == ["sam"]
