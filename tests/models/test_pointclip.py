"""PointCLIP: its features are CLIP's own, its logits those of the published formulas, written out here."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from promptseg import models
from promptseg.core.errors import UserError
from promptseg.core.runs import Run
from promptseg.core.train_config import Train
from promptseg.data import depth_maps, image_io, point_clouds, records
from promptseg.data.depth_maps import VIEWS, Views
from promptseg.datasets.shapenet_part import reader as shapenet_part
from promptseg.datasets.shapenet_part import sample as shapenet_part_sample
from promptseg.inference import prediction
from promptseg.models.pointclip import TEMPLATE, PointClip
from promptseg.nn import weights
from promptseg.nn.clip import TINY
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt, PromptConfig
from promptseg.prompts.text import Text
from promptseg.synthetic import solids
from transformers import CLIPConfig, CLIPModel

PHRASES = ("chair back", "chair seat", "mug")


def generate(thing: str, seed: int = 0, count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """A synthetic point cloud (count, 2, 3) uint8 and the labels of its parts (count,), from 0."""
    rng = np.random.default_rng(seed)
    places, _, parts = solids.points(rng, shapenet_part_sample.OBJECTS[thing].split("|")[0], count)
    return point_clouds.encode(places), parts


@pytest.fixture(scope="module")
def tiny():
    return models.load("pointclip").create("tiny", 4)


@pytest.fixture(scope="module")
def released(tmp_path_factory, tiny):
    """A folder in the layout of the hub, but tiny."""
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
    return model.encode([generate("chair")[0], generate("mug")[0]])


def phrase_embedding(network: CLIPModel, model: PointClip, phrase: str) -> torch.Tensor:
    """CLIP's text embedding of a phrase in V1's template, of length 1."""
    ids = model.phrases.tokenizer(f"point cloud depth map of a {phrase}.", return_tensors="pt").input_ids
    embedding = network.text_projection(network.text_model(ids).pooler_output)[0]
    return embedding / embedding.norm()


@torch.no_grad()
def test_features_are_those_of_clips_own_forward(released, model, features):
    network = CLIPModel.from_pretrained(released).eval()
    for row, thing in enumerate(("chair", "mug")):
        maps = torch.from_numpy(Views(128).render(point_clouds.decode(generate(thing)[0])).maps)
        for view in range(6):
            image = maps[view].expand(1, 3, -1, -1)
            whole = network.get_image_features(image).pooler_output[0]
            torch.testing.assert_close(features["whole"][row, view], whole / whole.norm(), rtol=1e-4, atol=1e-5)
            tokens = network.vision_model(image).last_hidden_state[0, 1:]
            dense = F.normalize(network.visual_projection(network.vision_model.post_layernorm(tokens)), dim=1)
            patches = features["patches"][row, view].permute(1, 2, 0).reshape(16 * 16, -1)
            torch.testing.assert_close(patches, dense, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_classification_equals_the_published_formula(released, model, features):
    """V1's zero-shot logits: each view's scaled cosines, weighted; here their mean, which ranks as their sum does."""
    network = CLIPModel.from_pretrained(released).eval()
    model = PointClip(model.network, model.files(), [0.5, 1.0, 0.25, 1.0, 2.0, 0.0]).eval()
    prompts = [Prompt.of(Text(phrase), is_classification=True) for phrase in PHRASES]
    logits = model.decode(features, [prompts] * 2)
    assert logits.shape == (2, 3, 600, 2) and (logits == logits[:, :, :1, :1]).all()
    for row in range(2):
        for column, phrase in enumerate(PHRASES):
            text = phrase_embedding(network, model, phrase)
            of_views = [float(network.logit_scale.exp() * features["whole"][row, view] @ text) for view in range(6)]
            expected = sum(w * logit for w, logit in zip(model.weights, of_views)) / sum(model.weights)
            assert float(logits[row, column, 0, 0]) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@torch.no_grad()
def test_part_segmentation_equals_the_published_formula(released, model, features):
    """V2's: cosine maps upsampled to the depth map, sampled at the point's pixel, averaged over views that show it."""
    network = CLIPModel.from_pretrained(released).eval()
    features = {**features, "visible": features["visible"].clone()}
    features["visible"][:, :, 5] = 0  # a point that is hidden in all views takes the mean of all
    prompts = [Prompt.of(Text(phrase), target=i) for i, phrase in enumerate(PHRASES)]
    logits = model.decode(features, [prompts] * 2)
    assert (logits[..., 0] == logits[..., 1]).all()
    visible = features["visible"].bool()
    for row in range(2):
        for column, phrase in enumerate(PHRASES):
            maps = torch.einsum("vcgh,c->vgh", features["patches"][row], phrase_embedding(network, model, phrase))
            maps = F.interpolate(maps[:, None], (128, 128), mode="bilinear", align_corners=False)[:, 0]
            for point in [5, *range(0, 600, 37)]:
                showing = [view for view in range(6) if visible[row, view, point]] or list(range(6))
                places = [features["pixels"][row, view, point].long().tolist() for view in showing]
                values = [float(maps[view, y, x]) for view, (y, x) in zip(showing, places)]
                expected = float(network.logit_scale.exp()) * float(np.mean(values))
                assert float(logits[row, column, point, 0]) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_phrases_use_the_published_template():
    assert TEMPLATE.format("night stand") == "point cloud depth map of a night stand."


def test_view_weights_are_loaded_from_a_checkpoint(tmp_path, model):
    weighted = PointClip(model.network, model.files(), [0.25, 0.5, 0.75, 1.0, 1.0, 0.5])
    weights.write(tmp_path / "w", weighted.configuration(), weighted.state_dict(), weighted.files())
    assert models.load("pointclip").load(tmp_path / "w", 40).weights == weighted.weights
    assert model.weights == [1.0] * 6


def test_half_precision_represents_pixels_and_visibility_exactly(features):
    for name in ("pixels", "visible"):
        assert torch.equal(features[name].half().float(), features[name])


def patches_of(parts: np.ndarray, cloud: np.ndarray, count: int) -> Features:
    """Perfect features: in each of 14 x 14 patches the share of the depth map that shows each part."""
    depths = Views(224).render(point_clouds.decode(cloud))
    patches = np.zeros((6, count, 14, 14), np.float32)
    reach = depth_maps.odd(depth_maps.SQUARE * 224) // 2
    for view, axes in enumerate(VIEWS.values()):
        _, depth = depth_maps.project(point_clouds.decode(cloud), np.array(axes), 224)
        shown = np.full((224, 224), -1)
        for point in np.argsort(depth):  # the nearest come last
            row, column = depths.pixels[view, point]
            shown[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = parts[point]
        for part in range(count):
            patches[view, part] = (shown == part).reshape(14, 16, 14, 16).mean(axis=(1, 3))
    arrays = {
        "patches": patches,
        "pixels": depths.pixels.astype(np.float32),
        "visible": depths.visible.astype(np.float32),
    }
    return {name: torch.from_numpy(values)[None] for name, values in arrays.items()}


def test_with_perfect_features_most_points_get_their_part(tiny, monkeypatch):
    """The best that 14 x 14 patches in six views allow; all of it is geometry."""
    monkeypatch.setattr(tiny, "transform", Views(224))
    scores = {}
    for thing in ("airplane", "cap", "chair", "lamp", "mug", "table"):
        cloud, parts = generate(thing, count=1500)
        parts = parts - shapenet_part.CLASSES.index(shapenet_part.CLASSES_BY_CATEGORY[thing][0])
        count = len(shapenet_part.CLASSES_BY_CATEGORY[thing])
        cosines = tiny._segment(patches_of(parts, cloud, count), torch.eye(count)[None], torch.ones(6))[0]
        labels = cosines.argmax(0).numpy()
        present = [part for part in range(count) if (parts == part).any() or (labels == part).any()]
        ious = [((labels == p) & (parts == p)).sum() / ((labels == p) | (parts == p)).sum() for p in present]
        scores[thing] = np.mean(ious)
    assert min(scores.values()) > 0.7 and np.mean(list(scores.values())) > 0.85, scores


# Prediction of splits.


def write_split(path, metadata: dict, things: list[str], is_classification: bool):
    """A split of synthetic point clouds; for classification the label is the thing's position in the list."""
    metadata = {
        "modality": "point_cloud",
        "is_classification": is_classification,
        "dataset": "d",
        "seed": 0,
        **metadata,
    }
    with records.RecordWriter(path, records.Record, metadata) as out:
        for position, thing in enumerate(things):
            cloud, parts = generate(thing, position)
            labels = np.full(len(parts), position + 1) if is_classification else parts + 1
            images = image_io.encode_png(cloud), image_io.encode_png(point_clouds.mask(labels))
            text = "" if is_classification else thing
            out.add(records.Record(thing, thing, *images, 600, 2, thing, 0, 0, 600, 2, text))
    return path


@pytest.fixture
def checkpoint(tmp_path, tiny):
    weights.write(tmp_path / "checkpoint", tiny.configuration(), tiny.state_dict(), tiny.files())
    return tmp_path / "checkpoint"


def predict(tmp_path, checkpoint, split):
    run = Run(dataset="shapes", model="pointclip", prompt=PromptConfig(text="class"))
    inputs = prediction.Inputs(split, checkpoint, tmp_path / "cache")
    prediction.predict(run, inputs, tmp_path / "p.parquet")
    return records.open_predictions(tmp_path / "p.parquet")


def test_a_record_is_prompted_for_the_parts_of_its_category_alone(tmp_path, checkpoint):
    by_category = {
        name: [shapenet_part.CLASSES.index(part) + 1 for part in parts]
        for name, parts in shapenet_part.CLASSES_BY_CATEGORY.items()
    }
    metadata = {"classes": list(shapenet_part.CLASSES), "classes_by_category": by_category}
    split = write_split(tmp_path / "t.parquet", metadata, ["mug", "rocket"], is_classification=False)
    for row, thing in zip(predict(tmp_path, checkpoint, split), ("mug", "rocket")):
        maps = records.unpack(row, 50)
        requested = [number - 1 for number in by_category[thing]]
        assert [prompt["target"] - 1 for prompt in json.loads(row.prompts)] == requested
        assert not np.delete(maps, requested, axis=0).any(), "a part of another category is predicted"
        assert (maps[requested].max(axis=0) == 255).all(), "a point has no part"


@torch.no_grad()
def test_a_classified_cloud_gets_the_class_of_the_largest_logit(tmp_path, checkpoint, tiny):
    names = ["mug", "rocket", "table"]
    metadata = {"classes": names, "classes_by_category": {}}
    split = write_split(tmp_path / "t.parquet", metadata, names, is_classification=True)
    prompts = [Prompt.of(Text(name), target=i, is_classification=True) for i, name in enumerate(names, 1)]
    for row, thing in zip(predict(tmp_path, checkpoint, split), names):
        maps = records.unpack(row, 3)
        assert (maps == maps[:, :1, :1]).all()
        logits = tiny.decode(tiny.encode([generate(thing, names.index(thing))[0]]), [prompts])[0, :, 0, 0]
        assert maps[:, 0, 0].argmax() == int(logits.argmax())
        ratio = np.exp(logits.numpy() - logits.max().item())  # features are cached in half precision
        np.testing.assert_allclose(maps[:, 0, 0], np.minimum(256 * ratio, 255), atol=4)


def test_splits_of_images_are_refused(tmp_path, checkpoint, blobs):
    with pytest.raises(UserError, match="^params.yaml: pointclip takes point clouds, and shapes holds images$"):
        predict(tmp_path, checkpoint, blobs("discs", 2))


def test_training_is_refused():
    train = Train(prompt=PromptConfig(text="class"), epochs=1, trainable=["all"])
    with pytest.raises(UserError, match="pointclip has nothing to train; use it under zero_shot"):
        PointClip.check_training(train)
