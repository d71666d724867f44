"""Drawn point clouds: near points cover far ones."""

import numpy as np
from promptseg.data import point_clouds
from promptseg.report import point_cloud_figure


def test_a_near_plane_covers_a_far_plane_and_keeps_its_labels():
    grid = np.linspace(-1, 1, 40)
    x, y = (axis.ravel() for axis in np.meshgrid(grid, grid))
    axes = point_cloud_figure._axes()
    far, near = (np.column_stack([x, y, np.full(1600, depth)]) @ axes for depth in (-0.5, 0.5))
    cloud = point_clouds.encode(np.concatenate([far, near]))
    drawing = point_cloud_figure.draw(cloud)
    labels = drawing.spread(point_clouds.mask(np.repeat([1, 2], 1600)))
    middle = labels[120:200, 120:200]
    assert (middle == 2).all() and labels[0, 0] == 0 and drawing.index[0, 0] == -1
    assert drawing.image.shape == (point_cloud_figure.SIDE, point_cloud_figure.SIDE, 3)


def test_maps_of_several_classes_are_spread_alike():
    cloud = point_clouds.encode(np.random.default_rng(0).normal(size=(200, 3)))
    drawing = point_cloud_figure.draw(cloud)
    values = np.random.default_rng(1).integers(1, 256, (5, 200, 1)).repeat(2, axis=2)
    spread = drawing.spread(values)
    assert spread.shape == (5, *drawing.index.shape)
    row, column = np.argwhere(drawing.index >= 0)[37]
    assert (spread[:, row, column] == values[:, drawing.index[row, column], 0]).all()
    assert (spread[:, drawing.index < 0] == 0).all()


def test_up_is_up_and_the_axes_are_at_right_angles():
    axes = point_cloud_figure._axes()
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    high = np.array([[0, 1, 0], [0, -1, 0], [0.1, 0, 0]])
    index = point_cloud_figure.draw(point_clouds.encode(high)).index
    assert np.argwhere(index == 0)[:, 0].mean() < np.argwhere(index == 1)[:, 0].mean()
