"""Filters and the cap: which windows become records, and what is reported."""

from collections import Counter

import numpy as np
import pytest
from fake_samples import REPORT, WHOLE, Dataset, mask_of, sample, samples_of
from promptseg.core.thread_pool import ThreadPool
from promptseg.preprocessing import filter
from promptseg.preprocessing.tiles import Tiler


def choose(samples, settings, cap=None, keep_empty=False):
    """The records of samples that are one split: (id of the sample, its windows) each, and the report."""
    tiler = Tiler(settings)
    with ThreadPool(2) as pool:
        measured = filter.measure(samples, tiler, pool)
    counts = {index: each for index, each in enumerate(measured) if each is not None}
    choice = filter.choose(list(range(len(samples))), counts, settings, cap, keep_empty)
    grids = {index: tiler.windows(counts[index].height, counts[index].width) for index, _ in choice.windows}
    chosen = [(samples[index].id, [grids[index][place] for place in places]) for index, places in choice.windows]
    return chosen, choice.report


@pytest.mark.parametrize("settings, kept", [
    ({"min_foreground": None}, ["0", "1", "50", "all ignored", "half ignored"]),
    ({"min_foreground": 0.0}, ["1", "50", "half ignored"]),
    ({"min_foreground": 0.01}, ["50", "half ignored"]),
    ({"min_foreground": 0.5}, ["half ignored"]),
    ({"min_foreground": 0.0, "min_pixels": 30}, ["50", "half ignored"]),
    ({"min_foreground": 0.0, "min_pixels": 31}, ["50"]),
])  # fmt: skip
def test_records_with_more_foreground_are_kept_and_ignored_pixels_do_not_count(settings, kept):
    masks = {
        "0": mask_of(0), "1": mask_of(1), "50": mask_of(50), "all ignored": mask_of(0, 100),
        "half ignored": mask_of(30, 50),
    }  # fmt: skip
    chosen, report = choose([sample(name, mask=mask) for name, mask in masks.items()], Dataset(**settings))
    assert [id for id, _ in chosen] == kept
    empty = 0 if settings["min_foreground"] is None else 2
    assert (report["images"], report["records"], report["dropped_empty"]) == (5, len(kept), empty)
    assert report["dropped_small"] == 5 - len(kept) - empty
    foreground = sum(np.count_nonzero(masks[name] == 1) for name in kept)
    valid = sum(np.count_nonzero(masks[name] != 255) for name in kept)
    assert report["foreground"] == pytest.approx(foreground / valid, abs=1e-6)


@pytest.mark.parametrize("settings, kept", [
    ({"min_foreground": None}, ["0", "1", "50", "all ignored", "half ignored"]),
    ({"min_foreground": 0.0}, ["0", "1", "50", "half ignored"]),
    ({"min_foreground": 0.5}, ["0", "half ignored"]),
    ({"min_foreground": 0.0, "min_pixels": 31}, ["0", "50"]),
    ({"min_foreground": None, "min_pixels": 31}, ["0", "50"]),
])  # fmt: skip
def test_the_test_split_keeps_empty_records_and_drops_small_ones(settings, kept):
    masks = {
        "0": mask_of(0), "1": mask_of(1), "50": mask_of(50), "all ignored": mask_of(0, 100),
        "half ignored": mask_of(30, 50),
    }  # fmt: skip
    chosen, report = choose([sample(id, mask=mask) for id, mask in masks.items()], Dataset(**settings), keep_empty=True)
    assert [id for id, _ in chosen] == kept
    ignored = "all ignored" not in kept  # no pixel of it counts, so it could not even have a false alarm
    small = len(masks) - len(kept) - ignored
    assert (report["records"], report["records_empty"]) == (len(kept), 2 - ignored)
    assert (report["dropped_empty"], report["dropped_small"]) == (ignored, small)


@pytest.mark.parametrize("cap, kept, empty", [
    (1, [5, 6], 1), (2, [2, 3, 8, 10], 2), (4, [1, 2, 4, 6, 7, 9, 10], 4), (7, [0, 1, 2, 3, 5, 6, 7, 8, 9, 10], 7),
    (None, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 8),
])  # fmt: skip
def test_the_cap_counts_records_with_ground_truth_and_keeps_as_many_empty_ones(cap, kept, empty):
    samples = [sample(str(i), mask=mask_of(9 if i % 4 == 2 else 0)) for i in range(11)]  # 2, 6 and 10 have some
    chosen, report = choose(samples, Dataset(), cap, keep_empty=True)
    assert [int(id) for id, _ in chosen] == kept
    assert report["records_empty"] == empty and report["dropped_over_cap"] == 11 - len(kept)


def test_tiles_are_kept_independently():
    mask, later = np.zeros((32, 64), np.uint8), np.zeros((16, 48), np.uint8)
    mask[3, 20] = mask[20, 60] = later[0, 40] = 1
    chosen, report = choose([sample("a", mask=mask), sample("b", mask=later)], Dataset(tile=16))
    places = [(id, [(window.top, window.left) for window in windows]) for id, windows in chosen]
    assert places == [("a", [(0, 16), (16, 48)]), ("b", [(0, 32)])]
    assert report == REPORT | {
        "images": 2, "images_kept": 2, "records": 3, "dropped_empty": 8, "foreground": 0.003906,
        "min_height": 16, "max_height": 32, "min_width": 48, "max_width": 64,
    }  # fmt: skip


@pytest.mark.parametrize("cap, kept", [
    (1, [10]), (2, [5, 15]), (4, [2, 7, 12, 17]), (19, None), (20, None), (50, None),
])  # fmt: skip
def test_the_cap_is_evenly_spaced(cap, kept):
    chosen, report = choose(samples_of(20), WHOLE, cap)
    numbers = [int(id[1:]) for id, _ in chosen]
    assert report["records"] == len(numbers) == min(cap, 20) and report["dropped_over_cap"] == 20 - len(numbers)
    assert numbers == sorted(set(numbers)) and kept in (None, numbers)


def test_filters_read_no_image_and_without_samples_nothing_is_kept():
    reads = Counter()
    choose([sample(f"p{i}", mask=mask_of(i % 2 * 9), reads=reads) for i in range(4)], Dataset())
    assert {kind for kind, _ in reads} == {"mask"} and len(reads) == 4
    assert choose([], WHOLE, 5) == ([], REPORT)
