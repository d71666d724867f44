"""Once through a split: the order of its images, what validating leaves out, and what the maps come to."""

import pytest
import torch
from promptseg.core import params, progress
from promptseg.core.devices import Processes
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Segmenter
from promptseg.training.epochs import Phase, learn, measure
from promptseg.training.optimizer_steps import Steps
from promptseg.training.running_metrics import Sums
from promptseg.training.training_split import Split

SETTINGS = params.Train(epochs=3, parts=["all"], lr=0.05, batch=4)


class Dropping(Segmenter):
    """Drops half of an image's pixels while it learns."""

    NAME, PROMPTS, PARTS, CACHED = "dropping", frozenset({"box"}), {"all": ("gain",)}, False
    frame = ImageTransform(32, True, (100, 110, 120), (50, 50, 50))

    def __init__(self):
        super().__init__()
        self.gain, self.dropout = torch.nn.Parameter(torch.ones(3, 1, 1)), torch.nn.Dropout(0.5)

    def encode(self, images):
        return {"pixels": self.dropout(self.frame.pixels(images)) * self.gain}


@pytest.fixture
def model():
    return Dropping()


@pytest.fixture
def split(blobs, model):
    return Split(blobs("test", 11), model, params.Prompt(box=True), None, 0, Processes())


def test_each_epoch_has_an_order_of_its_own_and_a_rerun_the_same(model, split):
    def order(seed: int, epoch: int, apart: tuple[int, ...] = ()) -> list[int]:
        seen = []
        phase = Phase("train", 3, SETTINGS, ["gain"], lambda _, batch, *rest: seen.extend(batch) or [], apart)
        steps = Steps(dict(model.named_parameters()), SETTINGS, Processes(), 9)
        learn(model, split, phase, steps, Processes(), seed, epoch, progress.bar(main=False))
        return [one.index for one in seen]

    orders = [order(0, 1), order(0, 2), order(0, 3), order(1, 1), order(0, 1, (1,))]
    assert all(sorted(one) == list(range(11)) for one in orders)
    assert len({tuple(one) for one in orders}) == 5
    assert order(0, 2) == orders[1]


def test_nothing_is_dropped_while_validating(model, split):
    def losses(split, batch, epoch, sums):
        each = split.features(batch)["pixels"].square().mean((1, 2, 3))
        sums.add_losses(each)
        return [each]

    phase, found = Phase("train", 3, SETTINGS, ["gain"], losses), []
    for _ in range(2):
        model.train()  # as an epoch of learning leaves it
        found.append(measure(model, split, phase, Processes()).loss)
    images = [split.take(index, 0).image for index in range(11)]
    assert found[0] == found[1] == pytest.approx(model.frame.pixels(images).square().mean().item(), rel=1e-5)


def test_ignored_pixels_enter_no_mean_over_the_maps():
    """By hand. Of the first map four pixels count: two are predicted, three are the object's, one is both. Of the
    second five count and are predicted, and four of them are the object's."""
    prediction = torch.tensor([[[1, 1, 0], [1, 0, 0]], [[1, 1, 1], [1, 1, 1]]])
    target = torch.tensor([[[1, 0, 1], [0, 1, 1]], [[1, 1, 1], [1, 1, 0]]])
    weight = torch.tensor([[[1, 1, 1], [0, 1, 0]], [[1, 1, 1], [1, 0, 1]]])
    sums = Sums()
    sums.add_maps(6.0 * prediction - 3, target.float(), weight.float())
    means = sums.means(Processes())
    assert means.loss is None
    assert means.iou == pytest.approx((1 / 4 + 4 / 5) / 2)
    assert means.foreground == pytest.approx((2 / 4 + 5 / 5) / 2)
    assert means.true == pytest.approx((3 / 4 + 4 / 5) / 2)
