"""Solids of point clouds: uniform points on the surface, normals to the outside, parts, rotations, mirror images."""

import numpy as np
import pytest
from promptseg.synthetic import solids


def points(text: str, count: int = 1000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return solids.points(np.random.default_rng(0), text, count)


@pytest.mark.parametrize(
    "text",
    [
        "box 0 -.5 0 1 1 1", "tube 0 -.5 0 1 1", "tube 0 -.5 0 1 1 .2", "ball 0 0 0 1 .5 .7",
        "turned 0 -1 0 0 0 1 .5 1 1.5 0 2", "plate 0 0 0 .3 -1 -1 1 -1 0 1", "box/x30/y20/z70 0 0 0 2 1 .5",
    ],
)  # fmt: skip
def test_normals_are_of_length_1_and_point_out_of_convex_solids(text):
    positions, normals, parts = points(text)
    assert positions.shape == normals.shape == (1000, 3) and not parts.any()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-9)
    assert ((positions - positions.mean(axis=0)) * normals).sum(axis=1).min() > 0


def test_points_are_uniform_over_the_surface_and_small_parts_have_some():
    positions, normals, _ = points("box 0 0 0 1 2 4", 40_000)
    size = np.ptp(positions, axis=0)
    expected = np.roll(size, 1) * np.roll(size, 2)  # areas of the sides
    shares = (np.abs(normals) > 0.5).mean(axis=0)
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.01)
    front = positions[normals[:, 2] > 0.5]
    np.testing.assert_allclose((front.mean(axis=0) - positions.min(axis=0))[:2], size[:2] / 2, rtol=0.03)
    _, _, parts = points("3:box 0 0 0 9 9 9; 7:ball 0 12 0 .01 .01 .01")
    assert set(parts) == {3, 7} and 10 < (parts == 7).sum() < 50


def test_rotation_is_around_the_place_and_a_hoop_is_an_arc():
    positions, _, _ = points("tube/x90 0 5 0 .1 3")
    low, high = positions.min(axis=0), positions.max(axis=0)
    assert high[2] - low[2] > 2 and high[1] - low[1] < 0.5 and low[2] > -0.2  # it leads to the front
    positions, _, _ = points("hoop 0 0 0 1 .1 0 180")
    assert positions[:, 1].min() > -0.1 and positions[:, 1].max() > 0.6 and np.abs(positions[:, 2]).max() < 0.2


@pytest.mark.parametrize(("mirrored", "corners"), [("", 1), ("^", 2), ("^^", 4)])
def test_mirror_images(mirrored, corners):
    positions, normals, _ = points(f"{mirrored}box 2 0 3 1 1 1")
    found, of_point = np.unique(np.sign(positions[:, [0, 2]]), axis=0, return_inverse=True)
    assert len(found) == corners
    centers = np.stack([positions[of_point == number].mean(axis=0) for number in range(corners)])
    assert ((positions - centers[of_point]) * normals).sum(axis=1).min() > 0


def test_proportions_are_random():
    rng = np.random.default_rng(0)
    first, second = (np.ptp(solids.points(rng, "box 0 0 0 1 1 1", 500)[0], axis=0) for _ in range(2))
    assert np.abs(first / second - 1).max() > 0.05 and np.ptp(first) > 0.2
