"""PointCLIP: its features are CLIP's own, its answers those of the published formulas, written out here."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from promptseg import models
from promptseg.cli import check
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import depth_maps, image_io, point_clouds, records
from promptseg.data.depth_maps import VIEWS, Views
from promptseg.datasets.shapenet_part import reader as shapenet_part
from promptseg.evaluation import evaluate
from promptseg.inference import prediction
from promptseg.models.pointclip import TEMPLATE, PointClip
from promptseg.nn import weights
from promptseg.nn.clip import TINY
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt
from promptseg.synthetic.point_clouds.surfaces import points
from promptseg.synthetic.point_clouds.things import THINGS
from transformers import CLIPConfig, CLIPModel

PHRASES = ("chair back", "chair seat", "mug")


def drawn(thing: str, seed: int = 0, count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """A cloud (count, 2, 3) uint8 and its parts (count,), from 0."""
    rng = np.random.default_rng(seed)
    places, _, parts = points(THINGS[thing](rng), count, rng)
    return point_clouds.encode(places), parts


@pytest.fixture(scope="module")
def tiny():
    return models.load("pointclip").create("tiny", 4)


@pytest.fixture(scope="module")
def released(tmp_path_factory, tiny):
    """A folder as the hub has it, but tiny."""
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(5)
    CLIPModel(CLIPConfig(**TINY)).save_pretrained(folder)
    for file, content in tiny.files().items():
        (folder / file).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def model(released):
    return models.load("pointclip").convert(released)


@pytest.fixture(scope="module")
def features(model) -> Features:
    return model.encode([drawn("chair")[0], drawn("mug")[0]])


def words(network: CLIPModel, model: PointClip, phrase: str) -> torch.Tensor:
    """CLIP's text embedding of a phrase in V1's template, of length 1."""
    ids = model.phrases.tokenizer(f"point cloud depth map of a {phrase}.", return_tensors="pt").input_ids
    embedding = network.text_projection(network.text_model(ids).pooler_output)[0]
    return embedding / embedding.norm()


@torch.no_grad()
def test_its_features_are_those_of_clip_s_own_forward(released, model, features):
    network = CLIPModel.from_pretrained(released).eval()
    for row, thing in enumerate(("chair", "mug")):
        maps = torch.from_numpy(Views(128).look(point_clouds.decode(drawn(thing)[0])).maps)
        for view in range(6):
            picture = maps[view].expand(1, 3, -1, -1)
            whole = network.get_image_features(picture).pooler_output[0]
            torch.testing.assert_close(features["whole"][row, view], whole / whole.norm(), rtol=1e-4, atol=1e-5)
            tokens = network.vision_model(picture).last_hidden_state[0, 1:]
            dense = F.normalize(network.visual_projection(network.vision_model.post_layernorm(tokens)), dim=1)
            found = features["patches"][row, view].permute(1, 2, 0).reshape(16 * 16, -1)
            torch.testing.assert_close(found, dense, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_class_of_a_cloud_is_by_the_published_formula(released, model, features):
    """V1's zero-shot logits: each view's scaled cosines, weighted; here their mean, which ranks as their sum does."""
    network = CLIPModel.from_pretrained(released).eval()
    model = PointClip(model.network, model.files(), [0.5, 1.0, 0.25, 1.0, 2.0, 0.0]).eval()
    found = model.decode(features, [[Prompt(1, text=phrase, whole=True) for phrase in PHRASES]] * 2)
    assert found.shape == (2, 3, 600, 2) and (found == found[:, :, :1, :1]).all()
    for row in range(2):
        for column, phrase in enumerate(PHRASES):
            text = words(network, model, phrase)
            logits = [float(network.logit_scale.exp() * features["whole"][row, view] @ text) for view in range(6)]
            expected = sum(w * logit for w, logit in zip(model.weights, logits)) / sum(model.weights)
            assert float(found[row, column, 0, 0]) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@torch.no_grad()
def test_the_parts_of_a_cloud_are_by_the_published_formula(released, model, features):
    """V2's: cosine maps enlarged to the depth map, picked at each point's pixel, the mean over the views that show it."""
    network = CLIPModel.from_pretrained(released).eval()
    features = {**features, "seen": features["seen"].clone()}
    features["seen"][:, :, 5] = 0  # a point that no view shows takes the mean of all
    found = model.decode(features, [[Prompt(i, text=phrase) for i, phrase in enumerate(PHRASES)]] * 2)
    assert (found[..., 0] == found[..., 1]).all()
    seen = features["seen"].bool()
    for row in range(2):
        for column, phrase in enumerate(PHRASES):
            maps = torch.einsum("vcgh,c->vgh", features["patches"][row], words(network, model, phrase))
            maps = F.interpolate(maps[:, None], (128, 128), mode="bilinear", align_corners=False)[:, 0]
            for point in [5, *range(0, 600, 37)]:
                showing = [view for view in range(6) if seen[row, view, point]] or list(range(6))
                places = [features["pixels"][row, view, point].long().tolist() for view in showing]
                values = [float(maps[view, y, x]) for view, (y, x) in zip(showing, places)]
                expected = float(network.logit_scale.exp()) * float(np.mean(values))
                assert float(found[row, column, point, 0]) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_a_phrase_stands_in_the_published_template():
    assert TEMPLATE.format("night stand") == "point cloud depth map of a night stand."


def test_its_view_weights_come_back_from_a_checkpoint(tmp_path, model):
    weighted = PointClip(model.network, model.files(), [0.25, 0.5, 0.75, 1.0, 1.0, 0.5])
    weights.write(tmp_path / "w", weighted.configuration(), weighted.state_dict(), weighted.files())
    assert models.load("pointclip").load(tmp_path / "w", 40).weights == weighted.weights
    assert model.weights == [1.0] * 6


def test_features_in_half_precision_keep_places_and_visibility(features):
    for name in ("pixels", "seen"):
        assert torch.equal(features[name].half().float(), features[name])


def patches_of(parts: np.ndarray, cloud: np.ndarray, count: int) -> Features:
    """Features of an oracle: in each of 14 x 14 patches the share of the depth map that shows each part."""
    look = Views(224).look(point_clouds.decode(cloud))
    patches = np.zeros((6, count, 14, 14), np.float32)
    reach = depth_maps.odd(depth_maps.SQUARE * 224) // 2
    for view, axes in enumerate(VIEWS.values()):
        _, depth = depth_maps.project(point_clouds.decode(cloud), np.array(axes), 224)
        shown = np.full((224, 224), -1)
        for point in np.argsort(depth):  # the nearest are written last
            row, column = look.pixels[view, point]
            shown[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = parts[point]
        for part in range(count):
            patches[view, part] = (shown == part).reshape(14, 16, 14, 16).mean(axis=(1, 3))
    arrays = {"patches": patches, "pixels": look.pixels.astype(np.float32), "seen": look.seen.astype(np.float32)}
    return {name: torch.from_numpy(values)[None] for name, values in arrays.items()}


def test_with_an_oracle_in_clip_s_place_most_points_get_their_part(tiny, monkeypatch):
    """What 14 x 14 patches in six views can tell at best; all of it is geometry."""
    monkeypatch.setattr(tiny, "frame", Views(224))
    found = {}
    for thing in ("airplane", "cap", "chair", "lamp", "mug", "table"):
        cloud, parts = drawn(thing, count=1500)
        parts = parts - shapenet_part.CLASSES.index(shapenet_part.CLASSES_BY_CATEGORY[thing][0])
        count = len(shapenet_part.CLASSES_BY_CATEGORY[thing])
        cosines = tiny._of_points(patches_of(parts, cloud, count), torch.eye(count)[None], torch.ones(6))[0]
        guess = cosines.argmax(0).numpy()
        present = [part for part in range(count) if (parts == part).any() or (guess == part).any()]
        ious = [((guess == p) & (parts == p)).sum() / ((guess == p) | (parts == p)).sum() for p in present]
        found[thing] = np.mean(ious)
    assert min(found.values()) > 0.7 and np.mean(list(found.values())) > 0.85, found


# --- with everything generic


def settings(text: str | list[str] = "class", dataset: str = "shapes") -> params.Run:
    return params.Run(dataset=dataset, model="pointclip", prompt=params.Prompt(text=text))


def prepared(path, about: dict, things: list[str], whole: bool):
    """A container of drawn clouds; of whole ones the mask is the thing's place in the list."""
    with records.RecordWriter(path, records.Record, {"kind": "cloud", "whole": whole, "dataset": "d", **about}) as out:
        for place, thing in enumerate(things):
            cloud, parts = drawn(thing, place)
            labels = np.full(len(parts), place + 1) if whole else parts + 1
            images = image_io.png(cloud), image_io.png(point_clouds.mask(labels))
            text = "" if whole else thing
            out.add(records.Record(thing, thing, *images, 600, 2, thing, 0, 0, 600, 2, text))
    return path


@pytest.fixture
def checkpoint(tmp_path, tiny):
    weights.write(tmp_path / "checkpoint", tiny.configuration(), tiny.state_dict(), tiny.files())
    return tmp_path / "checkpoint"


def predicted(tmp_path, checkpoint, truth, text="class"):
    prediction.predict(settings(text), 0, truth, checkpoint, None, tmp_path / "cache", tmp_path / "p.parquet")
    return records.predictions(tmp_path / "p.parquet")


def test_a_row_is_asked_for_its_category_s_parts_alone(tmp_path, checkpoint):
    among = {name: [shapenet_part.CLASSES.index(part) + 1 for part in of] for name, of in shapenet_part.CLASSES_BY_CATEGORY.items()}
    about = {"classes": list(shapenet_part.CLASSES), "among": among}
    truth = prepared(tmp_path / "t.parquet", about, ["mug", "rocket"], whole=False)
    for answer, thing in zip(predicted(tmp_path, checkpoint, truth), ("mug", "rocket")):
        maps = records.unpack(answer, 50)
        asked = [number - 1 for number in among[thing]]
        assert [prompt["target"] - 1 for prompt in json.loads(answer.prompts)] == asked
        assert not np.delete(maps, asked, axis=0).any(), "a part of another category has an answer"
        assert (maps[asked].max(axis=0) == 255).all(), "a point is of no part"


@torch.no_grad()
def test_a_whole_cloud_gets_one_class_and_it_is_the_one_of_the_largest_logit(tmp_path, checkpoint, tiny):
    names = ["mug", "rocket", "table"]
    truth = prepared(tmp_path / "t.parquet", {"classes": names, "among": {}}, names, whole=True)
    for answer, thing in zip(predicted(tmp_path, checkpoint, truth), names):
        maps = records.unpack(answer, 3)
        assert (maps == maps[:, :1, :1]).all()
        asked = [[Prompt(i, text=name, whole=True) for i, name in enumerate(names, 1)]]
        logits = tiny.decode(tiny.encode([drawn(thing, names.index(thing))[0]]), asked)[0, :, 0, 0]
        assert maps[:, 0, 0].argmax() == int(logits.argmax())
        ratio = np.exp(logits.numpy() - logits.max().item())  # features are kept in half precision
        np.testing.assert_allclose(maps[:, 0, 0], np.minimum(256 * ratio, 255), atol=4)


def test_evaluate_scores_clouds_and_draws_them(tmp_path, checkpoint):
    names = ["mug", "rocket", "table"]
    truth = prepared(tmp_path / "t.parquet", {"classes": names, "among": {}}, names, whole=True)
    answers = predicted(tmp_path, checkpoint, truth)
    outs = [tmp_path / name for name in ("m.json", "s.parquet", "t.csv", "p.png")]
    evaluate.evaluate(truth, answers.path, 0, *outs)
    found = json.loads(outs[0].read_text())
    right = [records.unpack(answer, 3)[:, 0, 0].argmax() == place for place, answer in enumerate(answers)]
    assert found["accuracy_top1"] == pytest.approx(np.mean(right), abs=1e-6)
    assert "boundary_iou" not in found and "part_miou" not in found and found["oracle"] is False
    picture = image_io.read_image(outs[3])
    assert picture.shape[0] > 3 * 160 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def test_evaluate_gives_part_miou_where_rows_have_parts(tmp_path, checkpoint):
    among = {name: [shapenet_part.CLASSES.index(part) + 1 for part in of] for name, of in shapenet_part.CLASSES_BY_CATEGORY.items()}
    truth = prepared(
        tmp_path / "t.parquet", {"classes": list(shapenet_part.CLASSES), "among": among}, ["mug", "chair"], whole=False
    )
    answers = predicted(tmp_path, checkpoint, truth)
    outs = [tmp_path / name for name in ("m.json", "s.parquet", "t.csv", "p.png")]
    evaluate.evaluate(truth, answers.path, 0, *outs)
    shapes = []
    for pair, answer in zip(records.pairs(truth), answers):
        labels, guess = records.mask(pair)[:, 0], records.unpack(answer, 50)[:, :, 0].argmax(axis=0) + 1
        unions = [((labels == part) | (guess == part)).sum() for part in among[pair.text]]
        both = [((labels == part) & (guess == part)).sum() for part in among[pair.text]]
        shapes.append(np.mean([i / u if u else 1.0 for i, u in zip(both, unions)]))
    found = json.loads(outs[0].read_text())
    assert found["part_miou"] == found["part_miou_category"] == pytest.approx(np.mean(shapes), abs=1e-6)
    assert "boundary_iou" not in found and "accuracy_top1" not in found


def test_a_model_of_pictures_refuses_clouds_and_the_other_way_round(tmp_path, checkpoint, blobs):
    with pytest.raises(UserError, match="^params.yaml: pointclip takes clouds, and shapes holds pictures$"):
        predicted(tmp_path, checkpoint, blobs("discs", 2))


@pytest.mark.parametrize(("dataset", "model"), [("em", "pointclip"), ("modelnet40", "clipseg")])
def test_check_finds_a_run_that_pairs_the_two(tmp_path, monkeypatch, root, dataset, model):
    text = (root / "params.yaml").read_text()
    run = f"zero_shot:\n  odd:\n    {{dataset: {dataset}, model: {model}, prompt: {{text: class}}}}\n"
    (tmp_path / "params.yaml").write_text(text.replace("zero_shot:\n", run))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^params.yaml: {model} takes .*, and {dataset} holds "):
        check.check()


def test_nothing_of_it_can_be_trained():
    train = params.Train(prompt=params.Prompt(text="class"), epochs=1, parts=["all"])
    with pytest.raises(UserError, match="pointclip has nothing to train; ask it in zero_shot"):
        PointClip.check_training(train)
