"""Kaggle: through kagglehub where there is a login, in one line where not."""

import sys
import types

import pytest
from promptseg.base.errors import Problem
from promptseg.raw import kaggle


def install(monkeypatch, answer) -> None:
    """A kagglehub that answers so."""
    module = types.ModuleType("kagglehub")
    module.dataset_download = answer
    monkeypatch.setitem(sys.modules, "kagglehub", module)


def refused() -> str:
    with pytest.raises(Problem) as caught:
        kaggle.files("owner/data", "mine")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_folder_of_its_cache_is_given(tmp_path, monkeypatch):
    asked = []
    install(monkeypatch, lambda slug: asked.append(slug) or str(tmp_path))
    assert kaggle.files("owner/data", "mine") == tmp_path and asked == ["owner/data"]


def test_without_kagglehub(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    message = refused()
    for part in ("pip install kagglehub", "kaggle.com/datasets/owner/data", "datasets.mine.source", "by hand"):
        assert part in message


def test_a_failure_shows_no_signed_address(monkeypatch):
    def fail(slug):
        raise OSError("Max retries exceeded with url: /b?X-Goog-Signature=secret\nmore")

    install(monkeypatch, fail)
    message = refused()
    assert message.startswith("mine: Kaggle: Max retries exceeded; log in") and "secret" not in message


def test_a_failure_without_words_is_named(monkeypatch):
    def fail(slug):
        raise KeyError

    install(monkeypatch, fail)
    assert refused().startswith("mine: Kaggle: KeyError; ")


def test_a_folder_that_is_gone(tmp_path, monkeypatch):
    install(monkeypatch, lambda slug: str(tmp_path / "gone"))
    assert refused().startswith(f"{tmp_path / 'gone'}: ")
