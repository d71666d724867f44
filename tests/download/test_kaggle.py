"""Kaggle: through kagglehub with a login, instructions without."""

import sys
import types

import pytest
from promptseg.core.errors import UserError
from promptseg.download import kaggle


def install(monkeypatch, dataset_download) -> None:
    """Install a kagglehub with this function."""
    module = types.ModuleType("kagglehub")
    module.dataset_download = dataset_download
    monkeypatch.setitem(sys.modules, "kagglehub", module)


def refused() -> str:
    with pytest.raises(UserError) as caught:
        kaggle.files("owner/data", "mine")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_folder_of_its_cache_is_returned(tmp_path, monkeypatch):
    slugs = []
    install(monkeypatch, lambda slug: slugs.append(slug) or str(tmp_path))
    assert kaggle.files("owner/data", "mine") == tmp_path and slugs == ["owner/data"]


def test_without_kagglehub(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    message = refused()
    for part in ("pip install kagglehub", "kaggle.com/datasets/owner/data", "download.mine.source", "by hand"):
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


@pytest.fixture
def without_login(tmp_path, monkeypatch):
    """A machine with kagglehub and no login; returns Kaggle's folder."""
    install(monkeypatch, None)
    for key in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".kaggle").mkdir()
    return tmp_path / ".kaggle"


def test_missing_steps_are_named(without_login, monkeypatch):
    assert (
        kaggle.missing_login() == f"make an API key at kaggle.com/settings and put its kaggle.json into {without_login}"
    )
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert kaggle.missing_login().startswith("`pip install kagglehub`, make an API key")


@pytest.mark.parametrize("keys", [["KAGGLE_USERNAME", "KAGGLE_KEY"], ["KAGGLE_API_TOKEN"]])
def test_a_login_may_be_in_the_environment(keys, without_login, monkeypatch):
    for key in keys:
        assert kaggle.missing_login() != ""
        monkeypatch.setenv(key, "x")
    assert kaggle.missing_login() == ""


@pytest.mark.parametrize("name", ["kaggle.json", "access_token"])
def test_a_login_may_be_stored(name, without_login):
    (without_login / name).write_text("x")
    assert kaggle.missing_login() == ""
