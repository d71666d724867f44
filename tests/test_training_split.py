"""A split as the training loop takes it: which pixels of an image its maps count."""

import numpy as np
import pytest
from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.data import image_io, records
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Segmenter
from promptseg.training.training_split import Split


class Bare(Segmenter):
    """Sees images of 24 by 40 pixels unscaled, above 16 rows of padding."""

    NAME, PROMPTS, PARTS, CACHED = "bare", frozenset({"box"}), {}, False
    frame = ImageTransform(40, True, (0, 0, 0), (1, 1, 1))


@pytest.fixture
def split(tmp_path):
    """One image; half of its object's lower part is ignored, and so are pixels beside it."""
    mask = np.zeros((24, 40), np.uint8)
    mask[4:10, 6:20] = 1
    mask[8:20, 10:30] = 255
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    path = tmp_path / "training.parquet"
    with records.RecordWriter(path, records.Record, {"classes": ["thing"]}) as out:
        out.add(records.Record("a", "g", image_io.png(image), image_io.png(mask), 24, 40, "a", 0, 0, 24, 40))
    return Split(path, Bare(), params.Prompt(box=True), None, 0, Processes())


@pytest.mark.parametrize("epoch", [0, 1])
def test_ignored_pixels_have_no_weight_and_are_no_target(split, epoch):
    target, weight = split.take(0, epoch).targets(20)  # each of its pixels is four of the image's
    inside, counted = np.zeros((1, 20, 20)), np.zeros((1, 20, 20))
    inside[0, 2:4, 3:10] = 1
    inside[0, 4, 3:5] = 1
    counted[0, :12] = 1
    counted[0, 4:10, 5:15] = 0
    np.testing.assert_array_equal(target, inside)
    np.testing.assert_array_equal(weight, counted)
