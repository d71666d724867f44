"""Building blocks of figures: the right pixels are tinted, outlined and hatched; point clouds are drawn."""

import numpy as np
import pytest
from promptseg.core.fingerprint import PACKAGE, closure
from promptseg.data import point_clouds
from promptseg.report import canvas, panels, point_cloud_figure

SIDE = 40
BACKGROUND = np.full((SIDE, SIDE, 3), 96, np.uint8)
COLORS = canvas.class_colors(3)


def mask(size=SIDE, **squares):
    """Zeros with a square of each value: _1=(10, 20) is class 1 from 10 to 20 on both sides."""
    made = np.zeros((size, size), np.uint8)
    for value, (start, stop) in squares.items():
        made[start:stop, start:stop] = int(value[1:])
    return made


def is_color(view, color):
    return (view == np.array(color, np.uint8)).all(axis=-1)


def test_the_preview_of_prepared_data_reaches_no_scores():
    reached = closure([PACKAGE / "report" / "panels.py", PACKAGE / "preprocessing" / "preview.py"])
    names = {path.relative_to(PACKAGE).as_posix() for path in reached}
    assert "report/canvas.py" in names and not {"data/masks.py", "report/run_figure.py"} & names
    assert not any(name.startswith("evaluation/") for name in names)


def test_dim_is_dark_and_of_few_grays():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    dark = panels.dim(ramp)
    assert dark.max() < 160 and len(np.unique(dark)) == 20
    assert (dark == dark[..., :1]).all() and (np.diff(dark[0, :, 0].astype(int)) >= 0).all()


def test_ground_truth_tints_and_outlines_classes_and_nothing_else():
    labels = mask(_1=(5, 15), _3=(20, 35), _7=(36, 39))  # 7 has no color
    view = panels.ground_truth(BACKGROUND, labels, COLORS)
    outlines = [is_color(view, color) for color in COLORS]
    assert [np.count_nonzero(line) for line in outlines] == [36, 0, 56]  # rims of squares of 10 and 15 pixels
    assert outlines[0][5, 5:15].all() and outlines[2][20:35, 34].all()
    assert np.abs(view[10, 10] - (0.6 * COLORS[0] + 0.4 * 96)).max() <= 1
    assert (view[~np.isin(labels, [1, 3])] == 96).all() and (BACKGROUND == 96).all()


def test_ground_truth_of_a_larger_mask_keeps_single_pixels():
    view = panels.ground_truth(BACKGROUND, mask(size=SIDE * 10, _2=(200, 203)), COLORS)
    assert (view != 96).any(axis=-1).sum() == 1


@pytest.mark.parametrize("size", [SIDE, SIDE * 3])
def test_ignored_pixels_are_hatched(size):
    lines = is_color(panels.ground_truth(BACKGROUND, mask(size, _255=(size // 4, size // 2)), COLORS), canvas.GRAY)
    assert lines.sum() == pytest.approx((SIDE / 4) ** 2 / 3, abs=SIDE / 4)
    lines[SIDE // 4 : SIDE // 2, SIDE // 4 : SIDE // 2] = False
    assert not lines.any()


def test_outlines_have_one_color_or_that_of_their_class():
    labels, white, colored, thick = mask(_1=(5, 15), _3=(20, 35)), *(BACKGROUND.copy() for _ in range(3))
    panels.outline(white, labels, canvas.WHITE)
    panels.outline(colored, labels, COLORS)
    panels.outline(thick, labels, canvas.WHITE, 3)
    assert is_color(white, canvas.WHITE).sum() == 36 + 56 < is_color(thick, canvas.WHITE).sum()
    assert [is_color(colored, color).sum() for color in COLORS] == [36, 0, 56]


def test_labels_are_never_mixed_by_resizing():
    labels = np.random.default_rng(0).choice([0, 7, 255], (30, 50)).astype(np.uint8)
    assert set(np.unique(panels.nearest(labels, (17, 11)))) <= {0, 7, 255}
    assert panels.resize(labels, (17, 11)).shape == (11, 17)


def test_views_of_any_size_are_put_together_on_paper():
    view, wide = np.zeros((10, 20, 3), np.uint8), np.zeros((5, 30, 3), np.uint8)
    row = panels.beside([view, wide, view], gap=6)
    assert row.shape == (10, 82, 3) and (row == 0).all(axis=-1).sum() == 2 * 200 + 150
    assert (row[:, 20:26] == 255).all() and (row[5:, 26:56] == 255).all()
    page = panels.page([row, wide])
    assert page.shape == (15 + 2 * panels.MARGIN, 82 + 2 * panels.MARGIN, 3)
    assert (page == 0).all(axis=-1).sum() == 2 * 200 + 150 + 150 and (page[: panels.MARGIN] == 255).all()
    assert panels.trim(panels.pad(row, 50, 0)).shape == row.shape
    assert panels.trim(panels.paper(9, 72)).shape[0] == 1


def test_legend_shows_every_color_in_as_many_lines_as_it_needs():
    entries = [(f"class {i}", color) for i, color in enumerate(canvas.class_colors(9).tolist())]
    wide, narrow = (panels.legend([*entries, ("a note", None)], width) for width in (900, 170))
    assert wide.shape[1] == 900 and narrow.shape[1] == 170 and narrow.shape[0] > wide.shape[0]
    for strip in wide, narrow:
        assert all(is_color(strip, color).sum() == 121 for _, color in entries)


def test_a_near_plane_of_points_covers_a_far_one_and_maps_of_all_classes_are_spread_alike():
    x, y = (axis.ravel() for axis in np.meshgrid(*[np.linspace(-1, 1, 40)] * 2))
    axes = point_cloud_figure._axes()
    planes = [np.column_stack([x, y, np.full(1600, depth)]) @ axes for depth in (-0.5, 0.5)]
    drawing = point_cloud_figure.draw(point_clouds.encode(np.concatenate(planes)))
    assert drawing.image.shape == (point_cloud_figure.SIDE, point_cloud_figure.SIDE, 3)
    middle = drawing.spread(point_clouds.mask(np.repeat([1, 2], 1600)))[120:200, 120:200]
    assert (middle == 2).all() and drawing.index[0, 0] == -1
    values = np.random.default_rng(1).integers(1, 256, (5, 3200, 1)).repeat(2, axis=2)
    spread = drawing.spread(values)
    assert (spread == np.where(drawing.index < 0, 0, values[:, drawing.index, 0])).all()


def test_up_is_up_and_the_axes_are_at_right_angles():
    axes = point_cloud_figure._axes()
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    index = point_cloud_figure.draw(point_clouds.encode(np.array([[0, 1, 0], [0, -1, 0], [0.1, 0, 0]]))).index
    assert np.argwhere(index == 0)[:, 0].mean() < np.argwhere(index == 1)[:, 0].mean()
