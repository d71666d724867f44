"""PointCLIP: its features are CLIP's own, its logits those of the published formulas, written out here."""

import itertools
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from promptseg import models
from promptseg.core.runs import Run
from promptseg.core.train_config import Train
from promptseg.data import image_io, point_clouds, records
from promptseg.data.depth_maps import Views
from promptseg.datasets.shapenet_part import reader as shapenet_part
from promptseg.datasets.shapenet_part import sample as shapenet_part_sample
from promptseg.inference import prediction
from promptseg.models.pointclip import PointClip
from promptseg.nn import weights
from promptseg.nn.clip import TINY
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt, PromptConfig
from promptseg.prompts.text import Text
from promptseg.synthetic import solids
from refusing import refused
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
    for name in ("pixels", "visible"):  # as they are cached
        assert torch.equal(features[name].half().float(), features[name])


@torch.no_grad()
@pytest.mark.parametrize("is_classification", [True, False])
def test_logits_equal_the_published_formula(released, model, features, is_classification):
    """Logits are CLIP's scale times cosines.

    V1's, for classification: the cosine of each view, weighted; here their mean, which ranks as their sum does. V2's,
    for parts: cosine maps upsampled to the depth map, sampled at the point's pixel, averaged over views that show it.
    """
    network = CLIPModel.from_pretrained(released).eval()
    view_weights = [0.5, 1.0, 0.25, 1.0, 2.0, 0.0]
    model = PointClip(model.network, model.files(), view_weights).eval()
    features = {**features, "visible": features["visible"].clone()}
    features["visible"][:, :, 5] = 0  # a point that is hidden in all views takes the mean of all
    prompts = [
        Prompt.of(Text(phrase), target=i, is_classification=is_classification) for i, phrase in enumerate(PHRASES)
    ]
    logits = model.decode(features, [prompts] * 2)
    assert logits.shape == (2, 3, 600, 2) and (logits[..., 0] == logits[..., 1]).all()
    assert (logits == logits[:, :, :1, :1]).all() == is_classification
    for row, (column, phrase) in itertools.product(range(2), enumerate(PHRASES)):
        ids = model.phrases.tokenizer(f"point cloud depth map of a {phrase}.", return_tensors="pt").input_ids
        text = F.normalize(network.text_projection(network.text_model(ids).pooler_output)[0], dim=0)
        maps = torch.einsum("vcgh,c->vgh", features["patches"][row], text)
        maps = F.interpolate(maps[:, None], (128, 128), mode="bilinear", align_corners=False)[:, 0]
        for point in [5, *range(0, 600, 97)]:
            showing = [view for view in range(6) if features["visible"][row, view, point]] or list(range(6))
            if is_classification:
                showing, cosines = list(range(6)), (features["whole"][row] @ text).tolist()
            else:
                places = features["pixels"][row, :, point].long().tolist()
                cosines = [float(maps[view, y, x]) for view, (y, x) in enumerate(places)]
            of_views = np.average([cosines[v] for v in showing], weights=[view_weights[v] for v in showing])
            expected = float(network.logit_scale.exp()) * float(of_views)
            assert float(logits[row, column, point, 0]) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_view_weights_are_loaded_from_a_checkpoint(tmp_path, model):
    weighted = PointClip(model.network, model.files(), [0.25, 0.5, 0.75, 1.0, 1.0, 0.5])
    weights.write(tmp_path / "w", weighted.configuration(), weighted.state_dict(), weighted.files())
    assert models.load("pointclip").load(tmp_path / "w", 40).weights == weighted.weights
    assert model.weights == [1.0] * 6


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
            out.add(records.Record(thing, thing, *images, 600, 2, thing, 0, 0, 600, 2, text, foreground=1200))
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


def test_splits_of_images_and_training_are_refused(tmp_path, checkpoint, blobs):
    message = "params.yaml: pointclip takes point clouds, and shapes holds images"
    refused(lambda: predict(tmp_path, checkpoint, blobs("discs", 2)), message)
    train = Train(prompt=PromptConfig(text="class"), epochs=1, trainable=["all"])
    refused(lambda: PointClip.check_training(train), "pointclip has nothing to train; use it under zero_shot")
