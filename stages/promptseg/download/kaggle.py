"""Kaggle datasets: download for users with a login, instructions for others."""

import os
import re
from pathlib import Path

from promptseg.core.errors import UserError

LOGINS = ({"KAGGLE_USERNAME", "KAGGLE_KEY"}, {"KAGGLE_API_TOKEN"})  # environment variables
STORED = ("kaggle.json", "access_token")  # files in Kaggle's own folder; the second for newer versions of kagglehub


def missing_login() -> str:
    """Say what a user has to do before `files` can log in.

    Nothing is sent; whether a login is there is checked, not whether it is valid.

    Returns:
        Steps in words; "" where kagglehub and a login are there.
    """
    steps = []
    try:
        import kagglehub  # noqa: F401
    except ImportError:
        steps.append("`pip install kagglehub`")
    home = Path(os.environ.get("KAGGLE_CONFIG_DIR") or Path.home() / ".kaggle")
    in_environment = any(names <= os.environ.keys() for names in LOGINS)
    if not in_environment and not any((home / name).is_file() for name in STORED):
        steps.append(f"make an API key at kaggle.com/settings and put its kaggle.json into {home}")
    return ", ".join(steps)


def files(slug: str, name: str) -> Path:
    """Download a dataset with kagglehub, which verifies the archive's MD5, resumes, and has its own places for logins.

    Args:
        slug: owner/dataset at Kaggle.
        name: of the dataset in promptseg, for messages.

    Returns:
        The folder in kagglehub's cache with the files, unpacked.

    Raises:
        UserError: kagglehub is not installed (the optional extra `kaggle`) or the download failed; it says what to do.
    """
    by_hand = (
        f"download the archive {slug} from Kaggle by hand (kaggle.com/datasets/{slug}) and set download.{name}.source "
        "in params.yaml to it"
    )
    try:
        import kagglehub
    except ImportError:
        raise UserError(f"{name}: `pip install kagglehub` and log in to Kaggle, or {by_hand}") from None
    try:
        folder = Path(kagglehub.dataset_download(slug))
    except Exception as error:  # its errors, those of requests and of zipfile have no common base
        reason = re.split(r"\n| with url", str(error))[0]  # an address may be signed and must not be logged
        reason = reason or type(error).__name__
        raise UserError(f"{name}: Kaggle: {reason}; log in to Kaggle (kaggle.json), or {by_hand}") from error
    if not folder.is_dir():
        raise UserError(f"{folder}: Kaggle's {slug} is not a folder there; delete it and download again, or {by_hand}")
    return folder
