"""Masks that number instances: what is taken for ids, what is not, and what is kept of them."""

from functools import partial

import cv2
import numpy as np
import pytest
import tifffile
from promptseg.datasets.folder import instance_ids
from promptseg.datasets.folder.instance_ids import Evidence
from promptseg.datasets.folder.labels import parse_labels
from promptseg.datasets.folder.mask_reader import MaskReader
from refusing import refused


def cells(rows, columns, side=4, margin=3):
    """Touching squares, numbered through, with background around."""
    ids = np.arange(1, rows * columns + 1).reshape(rows, columns)
    return np.pad(np.kron(ids, np.ones((side, side), int)), margin)


def evidence(values, listed=(0,)):
    ids = sorted(set(np.unique(values).tolist()) - set(listed))
    return instance_ids.evidence(values, ids, set(listed))


RNG = np.random.default_rng(0)
BLURRED = cv2.GaussianBlur((cells(1, 3, 20) > 0).astype(np.float32) * 255, (0, 0), 3).round().astype(int)
SMALL_CLASSES = np.kron(RNG.integers(0, 7, (12, 12)), np.ones((4, 4), int))  # each in many regions
CONE = np.add.outer(*[np.minimum(np.arange(40), np.arange(40)[::-1])] * 2)


@pytest.mark.parametrize(
    "values, expected",
    [
        (cells(9, 20), Evidence.CERTAIN), (cells(2, 3), Evidence.WITHOUT_GAPS), (cells(1, 4), None),
        (cells(9, 20) * 7, Evidence.CERTAIN), (cells(2, 3) + 400 * (cells(2, 3) > 0), Evidence.CERTAIN),
        (cells(2, 3) * 7, Evidence.AGAINST), (BLURRED, Evidence.AGAINST), (SMALL_CLASSES, Evidence.AGAINST),
        (CONE, Evidence.AGAINST), (np.tile(np.arange(256), (20, 1)), Evidence.AGAINST),
        (RNG.integers(0, 256, (60, 60)), Evidence.AGAINST), (np.arange(9)[None], Evidence.AGAINST),
        (np.zeros((4, 4), int), None), (np.array([[0, 255], [1, 0]]), None),
    ],
    ids=["many", "few", "too few", "with gaps", "beyond 8 bits", "few with gaps", "blurred", "classes", "distances",
         "ramp", "photo", "single pixels", "empty", "binary"],
)  # fmt: skip
def test_evidence(values, expected):
    assert evidence(values) is expected


def test_a_few_cut_cells_and_diagonal_neighbors_are_no_evidence_against_ids():
    values = cells(5, 8)
    values[9:11] = 0  # cuts a row of eight in two
    assert evidence(values) is Evidence.CERTAIN
    thin = np.zeros((40, 40), int)
    for number in range(10):
        thin[np.arange(30), np.arange(30) + number] = number * 3 + 1  # lines of single pixels, joined at corners
    assert instance_ids.are_regions(thin, np.unique(thin).tolist()[1:], {0})


def reader_of(tmp_path, masks, dtype="u1", instances=None, **options):
    reader = MaskReader(parse_labels(**{"classes": None, **options}), instances)
    found = []
    for number, values in enumerate(masks):
        tifffile.imwrite(tmp_path / f"{number}.tif", np.asarray(values).astype(dtype))
        found.append(reader.add_file(tmp_path / f"{number}.tif"))
    return found


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "u4", "f4", "i8", "f8"])
def test_each_id_is_an_instance_of_the_only_class_and_a_note_says_so(tmp_path, capsys, dtype):
    values = cells(9, 20)
    first, second = reader_of(tmp_path, [values, np.where(values < 4, values, 0)], dtype)
    assert (first() == (values > 0)).all() and first().dtype == np.uint8
    assert (first.instances() == values).all() and first.instances().dtype == np.uint16
    assert (second() == ((values > 0) & (values < 4))).all() and second.instances().max() == 3
    assert capsys.readouterr().err.splitlines() == [
        f"note: {tmp_path / '0.tif'}: 180 ids are read as instances of object, and so in all masks"
    ]


def test_one_instance_in_two_pieces_is_one_where_other_masks_number_instances(tmp_path):
    pieces = np.zeros((12, 12), int)
    pieces[:3, :3] = pieces[8:, 8:] = 1
    split, _ = reader_of(tmp_path, [pieces, cells(9, 20)])
    assert (split() == pieces).all() and (split.instances() == pieces).all()
    plain, _ = reader_of(tmp_path, [pieces, pieces])
    assert plain.instances() is None


def test_ids_beyond_16_bits_are_counted_through_and_ignored_values_stay(tmp_path):
    values = cells(2, 3) * 100_000
    (mask,) = reader_of(tmp_path, [values], "i4")
    assert (mask.instances() == cells(2, 3)).all()
    values = cells(9, 20)
    values[:2] = 255
    (mask,) = reader_of(tmp_path, [values], ignore=255)
    assert (mask()[:2] == 255).all() and (mask()[2:] == (values[2:] > 0)).all() and mask.instances()[:2].max() == 0


def test_the_option_states_what_is_doubtful(tmp_path):
    few = cells(1, 2) * 5
    (doubtful,) = reader_of(tmp_path, [few])
    refused(
        doubtful, "values 0, 5, 10: 5 (16 pixels) is unknown", "options.instances: true if each value is one object"
    )
    (stated,) = reader_of(tmp_path, [few], instances=True)
    assert (stated() == (few > 0)).all() and (stated.instances() == few).all()
    (never,) = reader_of(tmp_path, [cells(9, 20)], instances=False)
    refused(never, "0.tif: its values are 0, 1, 2")
    gaps = cells(2, 10) * 9
    (gaps,) = reader_of(tmp_path, [gaps])
    refused(gaps, "its values are 0, 9, 18", ": set options.instances: true if each value is one object")


def test_classes_are_never_taken_for_instances(tmp_path):
    values = cells(2, 3)
    names = [f"c{i}" for i in range(6)]
    (mask,) = reader_of(tmp_path, [values], classes=names)
    assert (mask() == values).all() and mask.instances() is None
    (mask,) = reader_of(tmp_path, [cells(9, 20)], others="background")
    assert (mask() == (cells(9, 20) == 1)).all() and mask.instances() is None


def test_a_mask_unlike_the_others_is_refused(tmp_path):
    gap = cells(2, 3)
    gap[gap == 2] = 0
    _, mask = reader_of(tmp_path, [cells(2, 3), gap])
    refused(mask, "1.tif: its values 1, 3, 4, 5, 6 have gaps or are in many pieces", "options.instances: true")
    _, pieces = reader_of(tmp_path, [cells(9, 20), SMALL_CLASSES])
    refused(pieces, "1.tif: its values 1, 2, 3, 4, 5, 6 have gaps or are in many pieces")
    # After many ids a gap is a cell that was removed.
    _, removed = reader_of(tmp_path, [cells(9, 20), gap])
    assert (removed() == (gap > 0)).all() and (removed.instances() == gap).all()


def test_soft_edges_keep_their_remedy(tmp_path):
    (mask,) = reader_of(tmp_path, [BLURRED])
    refused(mask, "soft edges? set options.threshold: 128")
    refused(partial(*reader_of(tmp_path, [cells(9, 20) * 2], "u2", threshold=128)), "its values reach 360", "8 bits")
