"""Streaming JSON parser: agreement with json.load, memory, and errors of one line."""

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promptseg.datasets.phrasecut import jsonlist
from refusing import refused

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=30)
@given(st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=3), max_size=5), st.sampled_from([None, 0, 3]))
def test_agrees_with_json_load(tmp_path_factory, entries, indent):
    path = tmp_path_factory.getbasetemp() / "list.json"
    path.write_text(json.dumps(entries, indent=indent, ensure_ascii=bool(indent)), encoding="utf-8")
    assert list(jsonlist.entries(path)) == entries


def test_entries_across_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonlist, "MAX_ENTRY", 40)
    entries = [{"n": i, "text": "é" * (i % 9)} for i in range(60)]
    (tmp_path / "list.json").write_text(json.dumps(entries, ensure_ascii=False, indent=1), encoding="utf-8")
    assert list(jsonlist.entries(tmp_path / "list.json")) == entries


def test_memory_is_that_of_a_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonlist, "MAX_ENTRY", 5_000)
    entry = json.dumps({"points": [[i / 7, i / 3] for i in range(100)]})
    (tmp_path / "list.json").write_text("[" + ",\n".join([entry] * 100) + "]")
    tracemalloc.start()
    count = sum(1 for _ in jsonlist.entries(tmp_path / "list.json"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100 and (tmp_path / "list.json").stat().st_size > 3e5 and peak < 1.2e5


@pytest.mark.parametrize(
    "text, words",
    [
        ("", ["does not begin with a list"]),
        ('{"a": 1}', ["does not begin with a list"]),
        ("<!DOCTYPE html><html>", ["does not begin with a list"]),
        ("version https://git-lfs.github.com/spec/v1", ["does not begin with a list"]),
        ("[", ["entry 1 is truncated"]),
        ('[{"a": 1}', ["after entry 1"]),
        ('[{"a": 1},', ["entry 2 is truncated"]),
        ('[{"a": 1}, {"b": [1, 2', ["entry 2 is truncated"]),
        ('[{"a": 1} {"b": 2}]', ["after entry 1"]),
        ('[{"a": 1}] [{"b": 2}]', ["unexpected text", "1 entries"]),
        ("[] x", ["unexpected text"]),
        ('[{"a": 1}, 7]', ["entry 2 is 7"]),
        ('[{"a": NaN}]', ["entry 1", "NaN is not a number"]),
        ('[{"a": -Infinity}]', ["-Infinity is not a number"]),
        ('[{"a": ' + "[" * 100_000, ["entry 1", "nested too deeply"]),
        ('[{"a": ' + "9" * 5000 + "}]", ["entry 1"]),
        ('[{"a": "\udcff\udcfe"}]', ["not UTF-8"]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_invalid_files(tmp_path, text, words):
    path = tmp_path / "list.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(lambda: list(jsonlist.entries(path)), path, *words, "download it again")


def test_missing_files_and_entries_beyond_the_limit(tmp_path, monkeypatch):
    for path in (tmp_path / "other.json", tmp_path):
        refused(lambda path=path: list(jsonlist.entries(path)), path, "not found")
    monkeypatch.setattr(jsonlist, "MAX_ENTRY", 100)
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"a": "x" * 1000}]))
    refused(lambda: list(jsonlist.entries(path)), path, "entry 1")


@pytest.mark.parametrize(
    "value, shown", [(True, "True"), (1.0, "1.0"), ("1", "'1'"), (None, "missing"), (0, "0"), (6, "6")]
)
def test_integer(value, shown):
    assert [jsonlist.integer({"n": n}, "n", 1, 5) for n in (1, 5)] == [1, 5]
    with pytest.raises(ValueError, match=f"n is {shown}, not an integer from 1 to 5"):
        jsonlist.integer({"n": value}, "n", 1, 5)


def test_shown_is_short_and_on_one_line():
    assert jsonlist.shown("a\nb") == "'a\\nb'" and len(jsonlist.shown("x" * 1000)) == 40
