"""Weights as trainers save them are read as the plain state dict is, and a line says what was taken."""

import json
from collections import OrderedDict
from functools import partial

import pytest
import torch
from promptseg import models
from promptseg.nn import state_dicts, weights
from refusing import refused
from safetensors.torch import save_file
from segment_anything import modeling
from torch import nn
from transformers import SamModel

X, Y = torch.ones(3), torch.zeros(2)


@pytest.fixture(scope="module")
def sam():
    """A SAM of the authors' code, with seeded weights."""
    torch.manual_seed(0)
    encoder = modeling.ImageEncoderViT(
        depth=2, embed_dim=32, img_size=128, mlp_ratio=2, norm_layer=partial(nn.LayerNorm, eps=1e-6), num_heads=2,
        use_rel_pos=True, global_attn_indexes=[1], window_size=4, out_chans=32,
    )  # fmt: skip
    decoder = modeling.MaskDecoder(
        transformer_dim=32, transformer=modeling.TwoWayTransformer(2, 32, 8, 64), iou_head_hidden_dim=32
    )
    return modeling.Sam(encoder, modeling.PromptEncoder(32, (8, 8), (128, 128), 16), decoder)


@pytest.fixture(scope="module")
def plain(sam, tmp_path_factory):
    """The state dict, and what it is converted to."""
    path = tmp_path_factory.mktemp("plain") / "sam.pth"
    torch.save(sam.state_dict(), path)
    return sam.state_dict(), models.load("sam").convert(path).state_dict()


def below(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


class Wrapper(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model


@pytest.mark.parametrize(
    "name, wrap, words",
    [
        ("best.pth", lambda state: {"model": state, "optimizer": {"state": {}, "param_groups": []}, "epoch": 3},
         "the tensors of 'model' without optimizer, epoch"),
        ("ddp.pth", partial(below, "module."), "names without module."),
        ("compiled.bin", partial(below, "_orig_mod."), "names without _orig_mod."),
        ("both.pt", lambda state: {"net": below("module._orig_mod.", state)}, "of 'net', names without module. and _o"),
        ("inner.pt", lambda state: {name.replace("encoder.", "encoder._orig_mod.", 1): state[name] for name in state},
         "names without _orig_mod."),
        ("lightning.ckpt", lambda state: {"state_dict": {**below("model.", state), "loss.weight": X}, "epoch": 1},
         "of 'state_dict' without epoch, those below model. ("),
        ("deep.ckpt", lambda state: {"state_dict": below("model.module.sam.", state)}, "those below model.sam. ("),
        ("vit_b_em_organelles.pt", OrderedDict, ""),  # as micro-sam releases its weights, and as its trainer saves them
        ("best.pt", lambda state: {"model_state": below("sam.", state), "decoder_state": {"out.weight": X}, "epoch": 9},
         "of 'model_state' without decoder_state, epoch, those below sam. ("),
        ("parallel.pt", lambda state: {"model_state": below("module.sam.", state)},
         "of 'model_state', names without module., those below sam. ("),
        ("half.pth", lambda state: {"model_state_dict": state, "loss": 0.3}, "of 'model_state_dict' without loss"),
        ("released.bin", dict, ""),
    ],
)  # fmt: skip
def test_what_trainers_save_is_read_as_the_state_dict_is(name, wrap, words, plain, tmp_path, capsys):
    state, expected = plain
    torch.save(wrap(state), tmp_path / name)
    found = models.load("sam").convert(tmp_path / name).state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(value, found[key]) for key, value in expected.items())
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == bool(words) and all(line.startswith(f"note: {tmp_path / name}: taken: ") for line in lines)
    assert words in "".join(lines)


def test_a_state_dict_of_transformers_and_one_in_safetensors_are_read(plain, tmp_path):
    state, expected = plain
    network = {name.removeprefix("network."): tensor for name, tensor in expected.items()}
    torch.save({"model": below("module.", network)}, tmp_path / "a.pth")
    save_file({name: tensor.clone() for name, tensor in state.items()}, tmp_path / "b.safetensors")
    for name in ("a.pth", "b.safetensors"):
        found = models.load("sam").convert(tmp_path / name).state_dict()
        assert all(torch.equal(value, found[key]) for key, value in expected.items())


@pytest.mark.parametrize("pickled", [False, True])
def test_shards_are_read_as_one_file_is(pickled, tmp_path):
    network = models.load("sam").create("tiny", 3).network
    network.save_pretrained(tmp_path, max_shard_size="200KB")
    index = tmp_path / "model.safetensors.index.json"
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 2 and not (tmp_path / "model.safetensors").exists()
    if pickled:
        content = json.loads(index.read_text())
        content["weight_map"] = {name: f"{file}.bin" for name, file in content["weight_map"].items()}
        for shard in shards:
            torch.save(weights.tensors(shard), f"{shard}.bin")
            shard.unlink()
        index.unlink()
        index = tmp_path / "pytorch_model.bin.index.json"
        index.write_text(json.dumps(content))
    found = models.load("sam").convert(tmp_path).network.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in network.state_dict().items())
    last = sorted(tmp_path.glob("model-*"))[-1]
    last.unlink()
    refused(lambda: models.load("sam").convert(tmp_path), f"{last}: not found")
    for content in ("{}", "no JSON", '{"weight_map": 3}', '{"weight_map": {"x": "../model.bin"}}'):
        index.write_text(content)
        refused(lambda: models.load("sam").convert(tmp_path), f"{index}: ", "fetch it again")


def test_a_whole_pickled_module_is_refused_with_the_way_to_save_it(sam, tmp_path):
    for content in (sam, {"model": sam.state_dict(), "hparams": SamModel}):
        torch.save(content, tmp_path / "whole.pth")
        refused(
            lambda: models.load("sam").convert(tmp_path / "whole.pth"),
            f"{tmp_path / 'whole.pth'}: it holds more than tensors (",
            "it is not opened: where it was trained, save the tensors alone by torch.save(model.state_dict(), path)",
        )


def test_two_models_in_one_file_and_a_part_of_one_are_refused(plain, tmp_path):
    path = tmp_path / "a.pth"
    torch.save({**below("student.", plain[0]), **below("teacher.", plain[0])}, path)
    refused(lambda: models.load("sam").convert(path), f"{path}: it holds several models (student, teacher); save the")
    for start in ("mask_decoder", "prompt_encoder"):
        torch.save({name: tensor for name, tensor in plain[0].items() if name.startswith(start)}, path)
        refused(lambda: models.load("sam").convert(path), f"{path}: no SAM", "it lacks image_encoder.pos_embed")


def test_names_alone_decide_and_nothing_is_said_where_nothing_was_changed(capsys, tmp_path):
    assert state_dicts.unwrap({"a": X, "b": Y}, tmp_path) == {"a": X, "b": Y}
    assert state_dicts.unwrap({"x.enc.a": X, "x.b": Y}, tmp_path, ("other",)).keys() == {"x.enc.a", "x.b"}
    assert state_dicts.unwrap({"enc.a": X, "x.enc.a": Y}, tmp_path, ("enc",)).keys() == {"enc.a", "x.enc.a"}
    assert capsys.readouterr() == ("", "")
    assert state_dicts.unwrap({"x.enc.a": X, "x.b": Y, "c": Y}, tmp_path, ("enc",)).keys() == {"enc.a", "b"}
    assert capsys.readouterr().err == f"note: {tmp_path}: taken: those below x. (2 of 3)\n"
