"""Kaggle: through kagglehub with a login, instructions without."""

import sys
import types

import pytest
from promptseg.download import kaggle
from refusing import refused


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A kagglehub, on a machine without a login."""
    for key in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    module = types.ModuleType("kagglehub")
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    return module


def test_the_folder_of_its_cache_is_returned(hub, tmp_path):
    hub.dataset_download = lambda slug: {"owner/data": str(tmp_path)}[slug]
    assert kaggle.files("owner/data", "mine") == tmp_path
    hub.dataset_download = lambda slug: str(tmp_path / "gone")
    refused(lambda: kaggle.files("owner/data", "mine"), f"{tmp_path / 'gone'}: ")


@pytest.mark.parametrize(
    "error, start",
    [
        (None, "mine: `pip install kagglehub` and log in"),
        (OSError("Max retries exceeded with url: /b?Signature=secret"), "mine: Kaggle: Max retries exceeded; log in"),
        (OSError("Max retries exceeded\nmore"), "mine: Kaggle: Max retries exceeded; log in"),  # one line
        (KeyError(), "mine: Kaggle: KeyError; "),
    ],
)
def test_a_failure_says_what_to_do_by_hand(hub, monkeypatch, error, start):
    def fail(slug):
        raise error

    hub.dataset_download = fail
    if error is None:
        monkeypatch.setitem(sys.modules, "kagglehub", None)
    refused(
        lambda: kaggle.files("owner/data", "mine"), start, "kaggle.com/datasets/owner/data", "download.mine.source",
        "by hand",
    )  # fmt: skip


def test_missing_steps_are_named(hub, tmp_path, monkeypatch):
    key = f"make an API key at kaggle.com/settings and put its kaggle.json into {tmp_path / '.kaggle'}"
    assert kaggle.missing_login() == key
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert kaggle.missing_login() == f"`pip install kagglehub`, {key}"


@pytest.mark.parametrize("keys", [["KAGGLE_USERNAME", "KAGGLE_KEY"], ["KAGGLE_API_TOKEN"]])
def test_a_login_may_be_in_the_environment(keys, hub, monkeypatch):
    for key in keys:
        assert kaggle.missing_login() != ""
        monkeypatch.setenv(key, "x")
    assert kaggle.missing_login() == ""


@pytest.mark.parametrize("folder", [".kaggle", "elsewhere"])
@pytest.mark.parametrize("name", ["kaggle.json", "access_token"])
def test_a_login_may_be_stored(folder, name, hub, tmp_path, monkeypatch):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / name).write_text("x")
    if folder == "elsewhere":
        assert kaggle.missing_login() != ""
        monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / folder))
    assert kaggle.missing_login() == ""
