"""U-Net prompted by a box: the fourth channel, and that the box decides which object is segmented."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from promptseg import models
from promptseg.models.unet_box import coverage
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.training.losses import dice


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine, threads of tiny networks wait for each other longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


COORDINATE = st.floats(-4, 20, width=32)


def test_whole_and_half_pixels():
    covered = coverage(torch.tensor([[1.0, 0.5, 3.0, 2.0]]), 4)[0]
    expected = [[0, 0.5, 0.5, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert covered.tolist() == expected


@given(COORDINATE, COORDINATE, COORDINATE, COORDINATE)
def test_the_area_is_that_of_the_box_within_the_input(x0, y0, x1, y1):
    x0, x1, y0, y1 = *sorted((x0, x1)), *sorted((y0, y1))
    width, height = (max(0.0, min(high, 16) - max(low, 0)) for low, high in ((x0, x1), (y0, y1)))
    covered = coverage(torch.tensor([[x0, y0, x1, y1]]), 16)
    assert abs(covered.sum().item() - width * height) < 1e-3 and 0 <= covered.min() and covered.max() <= 1


def test_after_training_the_box_decides_which_object_is_segmented():
    image = np.full((128, 128, 3), 60, np.uint8)
    image[20:50, 20:50] = image[80:110, 70:110] = 200
    boxes = np.array([[20.0, 20.0, 50.0, 50.0], [70.0, 80.0, 110.0, 110.0]])
    masks = torch.zeros(2, 128, 128)
    masks[0, 20:50, 20:50] = masks[1, 80:110, 70:110] = 1
    model = models.load("unet_box").create("tiny", 0).train()
    features, prompts = model.encode([image]), [[Prompt.of(Box(box)) for box in boxes]]
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(14):
        logits = model.decode(features, prompts)[0]
        optimizer.zero_grad()
        dice(logits, masks, torch.ones_like(masks)).sum().backward()
        optimizer.step()
    with torch.no_grad():
        predictions = model.eval().decode(features, prompts)[0] > 0
    for prediction, own, other in zip(predictions, masks > 0, masks.flip(0) > 0):
        assert prediction[own].float().mean() > 0.9 and prediction[other].float().mean() < 0.1
