"""Building blocks of figures: the right pixels are tinted, outlined and hatched, and no others."""

import numpy as np
import pytest
from promptseg.core.fingerprint import PACKAGE, closure
from promptseg.report import canvas, panels

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


@pytest.mark.parametrize(("size", "expected"), [((80, 40), (20, 40)), ((3, 4), (40, 30)), ((1, 900), (40, 1))])
def test_fit_keeps_the_aspect_and_at_least_a_pixel(size, expected):
    assert panels.fit(*size, SIDE) == expected


def test_dim_is_dark_and_of_few_grays():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    dark = panels.dim(ramp)
    assert dark.max() < 160 and len(np.unique(dark)) == 20
    assert (dark == dark[..., :1]).all() and (np.diff(dark[0, :, 0].astype(int)) >= 0).all()


def test_ground_truth_tints_and_outlines_classes_and_nothing_else():
    view = panels.ground_truth(BACKGROUND, mask(_1=(5, 15), _3=(20, 35)), COLORS)
    outlines = [is_color(view, color) for color in COLORS]
    assert [np.count_nonzero(line) for line in outlines] == [36, 0, 56]  # rims of squares of 10 and 15 pixels
    assert outlines[0][5, 5:15].all() and outlines[2][20:35, 34].all()
    assert np.abs(view[10, 10] - (0.6 * COLORS[0] + 0.4 * 96)).max() <= 1
    assert (view[mask(_1=(5, 15), _3=(20, 35)) == 0] == 96).all() and (BACKGROUND == 96).all()


def test_ground_truth_of_a_larger_mask_keeps_single_pixels():
    view = panels.ground_truth(BACKGROUND, mask(size=SIDE * 10, _2=(200, 203)), COLORS)
    assert (view != 96).any(axis=-1).sum() == 1


def test_labels_without_a_color_are_not_drawn():
    assert (panels.ground_truth(BACKGROUND, mask(_7=(5, 15)), COLORS) == 96).all()


@pytest.mark.parametrize("size", [SIDE, SIDE * 3])
def test_ignored_pixels_are_hatched(size):
    view = panels.ground_truth(BACKGROUND, mask(size, _255=(size // 4, size // 2)), COLORS)
    lines = is_color(view, canvas.GRAY)
    assert lines.sum() == pytest.approx((SIDE / 4) ** 2 / 3, abs=SIDE / 4)
    lines[SIDE // 4 : SIDE // 2, SIDE // 4 : SIDE // 2] = False
    assert not lines.any()


def test_outline_of_some_thickness():
    thin, thick = BACKGROUND.copy(), BACKGROUND.copy()
    panels.outline(thin, mask(_1=(10, 20)) == 1, canvas.WHITE)
    panels.outline(thick, mask(_1=(10, 20)) == 1, canvas.WHITE, 3)
    assert 0 < is_color(thin, canvas.WHITE).sum() < is_color(thick, canvas.WHITE).sum()


def test_labels_are_never_mixed_by_resizing():
    labels = np.random.default_rng(0).choice([0, 7, 255], (30, 50)).astype(np.uint8)
    assert set(np.unique(panels.nearest(labels, (17, 11)))) <= {0, 7, 255}
    assert panels.resize(labels, (17, 11)).shape == (11, 17)


def test_padding_is_paper_around_the_middle():
    square = panels.pad(np.zeros((10, 20, 3), np.uint8), SIDE)
    assert square.shape == (SIDE, SIDE, 3)
    assert panels.pad_left(np.zeros((10, 20, 3)), SIDE) == 10
    assert (square[:10, 10:30] == 0).all() and (square == 0).all(axis=-1).sum() == 200


def test_beside_and_trim():
    view = np.zeros((10, 20, 3), np.uint8)
    row = panels.beside([view, panels.pad(view, 20)[:10], view], gap=6)
    assert row.shape == (10, 72, 3) and (row[:, 20:26] == 255).all()
    assert panels.trim(np.concatenate([row, panels.paper(9, 72)])).shape == row.shape
    assert panels.trim(panels.paper(9, 72)).shape[0] == 1


def test_legend_shows_every_color_in_as_many_lines_as_it_needs():
    entries = [(f"class {i}", color) for i, color in enumerate(canvas.class_colors(9).tolist())]
    wide, narrow = (panels.legend([*entries, ("a note", None)], width) for width in (900, 200))
    assert wide.shape[1] == 900 and narrow.shape[1] == 200 and narrow.shape[0] > wide.shape[0]
    for strip in wide, narrow:
        assert all(is_color(strip, color).sum() == 121 for _, color in entries)


def test_page_has_a_margin():
    page = panels.page([np.zeros((5, 30, 3), np.uint8), panels.titles(("one", "two"), 13, 30)])
    assert page.shape[1] == 30 + 2 * panels.MARGIN and (page[: panels.MARGIN] == 255).all()
    assert (page[panels.MARGIN, panels.MARGIN : -panels.MARGIN] == 0).all()
