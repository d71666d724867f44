"""Filters and the cap: which windows become records, and what is reported."""

from collections import Counter

import numpy as np
import pytest
from fake_samples import REPORT, WHOLE, Dataset, mask_of, sample, samples_of
from promptseg.core.thread_pool import ThreadPool
from promptseg.preprocessing import filter
from promptseg.preprocessing.tiles import Tiler


def choose(samples, settings, cap):
    """The records of samples that are one split: (sample, its windows) each, and the report."""
    tiler = Tiler(settings)
    with ThreadPool(2) as pool:
        measured = filter.measure(samples, tiler, pool)
    counts = {index: each for index, each in enumerate(measured) if each is not None}
    choice = filter.choose(list(range(len(samples))), counts, settings, cap)
    chosen = []
    for index, places in choice.windows:
        grid = tiler.windows(counts[index].height, counts[index].width)
        chosen.append((samples[index], [grid[place] for place in places]))
    return chosen, choice.report


@pytest.mark.parametrize(
    "min_foreground, kept",
    [
        (None, ["0", "1", "50", "all ignored", "half ignored"]),
        (0.0, ["1", "50", "half ignored"]),
        (0.01, ["50", "half ignored"]),
        (0.5, ["half ignored"]),
    ],
)
def test_records_with_more_foreground_are_kept_and_ignored_pixels_do_not_count(min_foreground, kept):
    masks = {
        "0": mask_of(0),
        "1": mask_of(1),
        "50": mask_of(50),
        "all ignored": mask_of(0, 100),
        "half ignored": mask_of(30, 50),
    }
    samples = [sample(name, mask=mask, size=(10, 10)) for name, mask in masks.items()]
    chosen, report = choose(samples, Dataset(min_foreground=min_foreground), None)
    assert [sample.id for sample, _ in chosen] == kept
    assert report["images"] == 5 and report["records"] == len(kept)
    assert report["dropped_empty"] + report["dropped_small"] == 5 - len(kept)
    foreground = sum(np.count_nonzero(masks[name] == 1) for name in kept)
    valid = sum(np.count_nonzero(masks[name] != 255) for name in kept)
    assert report["foreground"] == pytest.approx(foreground / valid, abs=1e-6)


def test_tiles_are_kept_independently():
    mask = np.zeros((32, 64), np.uint8)
    mask[3, 20] = mask[20, 60] = 1
    chosen, report = choose([sample("a", mask=mask, size=(32, 64))], Dataset(tile=16), None)
    assert [(w.top, w.left) for w in chosen[0][1]] == [(0, 16), (16, 48)]
    assert report == REPORT | {
        "images": 1, "records": 2, "dropped_empty": 6, "foreground": 0.003906,
        "min_height": 32, "max_height": 32, "min_width": 64, "max_width": 64,
    }  # fmt: skip


@pytest.mark.parametrize(
    "cap, kept", [(1, [10]), (2, [5, 15]), (4, [2, 7, 12, 17]), (19, None), (20, None), (50, None)]
)
def test_the_cap_is_evenly_spaced(cap, kept):
    samples = samples_of(20)
    chosen, report = choose(samples, WHOLE, cap)
    numbers = [int(sample.id[1:]) for sample, _ in chosen]
    assert report["records"] == len(numbers) == min(cap, 20) and report["dropped_over_cap"] == 20 - len(numbers)
    assert numbers == sorted(set(numbers)) and (kept is None or numbers == kept)
    assert [int(sample.id[1:]) for sample, _ in choose(samples, WHOLE, cap)[0]] == numbers


def test_without_samples_nothing_is_kept():
    assert choose([], WHOLE, 5) == ([], REPORT)


def test_filters_read_no_image():
    reads = Counter()
    choose([sample(f"p{i}", mask=mask_of(i % 2 * 9), size=(10, 10), reads=reads) for i in range(12)], Dataset(), None)
    assert {kind for kind, _ in reads} == {"mask"} and len(reads) == 12
