"""Files of a Kaggle dataset, for those who have a login there; what to do by hand for everybody else."""

import os
import re
from pathlib import Path

from promptseg.core.errors import UserError

LOGINS = ({"KAGGLE_USERNAME", "KAGGLE_KEY"}, {"KAGGLE_API_TOKEN"})  # in the environment
STORED = ("kaggle.json", "access_token")  # in its own folder; only newer versions of kagglehub take the second of both


def missing_login() -> str:
    """What to do before `files` gets in, "" where nothing is. Of a login only whether it is there is looked at."""
    steps = []
    try:
        import kagglehub  # noqa: F401
    except ImportError:
        steps.append("`pip install kagglehub`")
    home = Path(os.environ.get("KAGGLE_CONFIG_DIR") or Path.home() / ".kaggle")
    given = any(names <= os.environ.keys() for names in LOGINS)
    if not given and not any((home / name).is_file() for name in STORED):
        steps.append(f"make an API key at kaggle.com/settings and put its kaggle.json into {home}")
    return ", ".join(steps)


def files(slug: str, name: str) -> Path:
    """The folder in kagglehub's own cache that holds the files of `slug` (owner/dataset), unpacked and complete.

    kagglehub checks the archive's MD5, resumes, and takes a login from its own places alone. name: that of our
    dataset, for the message. Raises UserError, which says what to do by hand, if kagglehub is not installed (it is the
    optional extra `kaggle`) or does not get the files.
    """
    by_hand = (
        f"download the archive {slug} from Kaggle by hand (kaggle.com/datasets/{slug}) and set datasets.{name}.source "
        "in params.yaml to it"
    )
    try:
        import kagglehub
    except ImportError:
        raise UserError(f"{name}: `pip install kagglehub` and log in to Kaggle, or {by_hand}") from None
    try:
        folder = Path(kagglehub.dataset_download(slug))
    except Exception as error:  # its errors, those of requests and of zipfile have no common base
        reason = re.split(r"\n| with url", str(error))[0]  # an address may be signed and has no place in a log
        reason = reason or type(error).__name__
        raise UserError(f"{name}: Kaggle: {reason}; log in to Kaggle (kaggle.json), or {by_hand}") from error
    if not folder.is_dir():
        raise UserError(f"{folder}: Kaggle's {slug} is not a folder there; delete it and download again, or {by_hand}")
    return folder
