"""Streaming of an object of long lists and of a list: agreement with json.load, memory, errors of one line."""

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promptseg.data import json_stream
from refusing import refused

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from("abcd"), VALUES | st.lists(VALUES, max_size=4)), st.sampled_from([None, 1]))
@pytest.mark.parametrize("chunk", [1, 7, 4000])
def test_agrees_with_json_load(tmp_path_factory, chunk, found, indent):
    path = tmp_path_factory.getbasetemp() / "object.json"
    path.write_text(json.dumps(found, indent=indent, ensure_ascii=bool(indent)), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        read: dict = {key: [] for key in "ab" if isinstance(found.get(key), list)}
        for key, value in json_stream.members(path, "ab"):
            if key in read and isinstance(found[key], list) and key in "ab":
                read[key].append(value)
            else:
                read[key] = value
    assert read == found


@settings(max_examples=60)
@given(st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=3), max_size=5), st.sampled_from([None, 0, 3]))
@pytest.mark.parametrize("chunk", [1, 40, 4000])
def test_a_list_agrees_with_json_load(tmp_path_factory, chunk, entries, indent):
    path = tmp_path_factory.getbasetemp() / "list.json"
    path.write_text(json.dumps(entries, indent=indent, ensure_ascii=bool(indent)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        assert list(json_stream.entries(path)) == entries


@pytest.mark.parametrize("read", [lambda path: json_stream.members(path, ("list",)), json_stream.entries])
def test_memory_is_that_of_a_chunk(tmp_path, monkeypatch, read):
    monkeypatch.setattr(json_stream, "CHUNK", 5_000)
    path, entries = tmp_path / "object.json", [{"points": [i / 7] * 100} for i in range(500)]
    path.write_text(json.dumps(entries if read is json_stream.entries else {"list": entries}))
    tracemalloc.start()
    count = sum(1 for _ in read(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 500 and path.stat().st_size > 5e5 and peak < 1.5e5


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "at its beginning"), ("[1]", "at its beginning"), ("{", "at its beginning"),
        ("{1: 2}", "at its beginning"), ("{} x", "after its end"),
        ('{"a"', "in 'a'"), ('{"a": ', "in 'a'"), ('{"a": 1', "in 'a'"), ('{"a": 1 "b": 2}', "in 'a'"),
        ('{"list": [1, 2', "in 'list', after element 2"), ('{"list": [1 2]}', "in 'list', after element 1"),
        ('{"list": [1, {"x": ]}', "in 'list', element 2"), ('{"list": [1,]}', "in 'list', element 2"),
        ('{"list": ' + "[" * 100_000, "in 'list', element 1"), ('{"a": 1} {}', "after its end"),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_damage_is_one_line_that_names_the_place(tmp_path, text, words):
    (tmp_path / "a.json").write_text(text)
    refused(lambda: list(json_stream.members(tmp_path / "a.json", ("list",))), "a.json: truncated or damaged", words)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", ["at its beginning"]), ('{"a": 1}', ["at its beginning"]), ("<!DOCTYPE html><html>", ["at its beginning"]),
        ("version https://git-lfs.github.com/spec/v1", ["at its beginning"]),
        ("[", ["element 1"]), ('[{"a": 1}', ["after element 1"]), ('[{"a": 1},', ["damaged element 2"]),
        ('[{"a": 1}, {"b": [1, 2', ["damaged element 2"]), ('[{"a": 1} {"b": 2}]', ["after element 1"]),
        ('[{"a": 1}] [{"b": 2}]', ["after its end"]), ("[] x", ["after its end"]),
        ('[{"a": 1}, 7]', ["element 2 is 7, not an object"]), ('[{"a": NaN}]', ["element 1 (NaN is not a number)"]),
        ('[{"a": -Infinity}]', ["-Infinity is not a number"]),
        ('[{"a": ' + "[" * 100_000, ["element 1 (nested too deeply)"]), ('[{"a": ' + "9" * 5000 + "}]", ["element 1"]),
        ('[{"a": "\udcff\udcfe"}]', ["not UTF-8"]),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_invalid_lists(tmp_path, text, words):
    path = tmp_path / "list.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(lambda: list(json_stream.entries(path)), path, *words, "export or download it again")


def test_values_beyond_the_limit(tmp_path, monkeypatch):
    for name, value in (("MAX_VALUE", 100), ("CHUNK", 10)):
        monkeypatch.setattr(json_stream, name, value)
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"a": "x" * 1000}]))
    refused(lambda: list(json_stream.entries(path)), path, "element 1")


def test_missing_files_and_other_encodings(tmp_path):
    for path in (tmp_path / "a.json", tmp_path):
        refused(lambda path=path: list(json_stream.members(path, ())), path, "not found, or not a file")
        refused(lambda path=path: list(json_stream.entries(path)), path, "not found, or not a file")
    (tmp_path / "a.json").write_bytes('{"é": 1}'.encode("latin-1"))
    refused(lambda: list(json_stream.members(tmp_path / "a.json", ())), "not UTF-8")
