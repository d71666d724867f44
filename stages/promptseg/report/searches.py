"""Runs whose prompt a search found: their prompts, and what the choice on validation images is worth on test images."""

from pathlib import Path

from promptseg.core.errors import UserError
from promptseg.core.study import Study
from promptseg.evaluation import score_table
from promptseg.report.wording import signed

MISLED = 0.1  # a drop from the validation to the test images from which on the choice is called in question


def with_winners(study: Study, scores: Path) -> Study:
    """Put the prompts that searches found in the place of the searches, for runs that have scores.

    Args:
        study: params.yaml.
        scores: folder of the tables of scores, <run>.parquet.

    Raises:
        UserError: a table is damaged, or of another run.
    """
    found = dict(study.searched)
    for name, run in study.searched.items():
        path = scores / f"{name}.parquet"
        if path.is_file():
            summary = score_table.read_summary(path)
            if "search" not in summary:
                raise UserError(f"{path}: of a run without a search; `dvc repro` makes it anew")
            found[name] = run.with_prompt(summary["search"]["prompt"])
    return study.model_copy(update={"searched": found})


def sentence(run: str, found: dict, headline: float) -> str:
    """Say what a search found and cost, and how much lower the score is on the test images.

    Args:
        run: that has the winner.
        found: `search` in the summary of its scores, as `searched.take_winner` has it.
        headline: of the run, on the test images.
    """
    best, drop = found["ranking"][0], headline - found["score"]
    text = (
        f"The prompt of {run}, {best['prompt']}, is the best of {found['candidates']} on the validation images:"
        f" {found['score']:.3f} there, {headline:.3f} on the test images ({signed(drop)});"
        f" the search took {found['encoder_passes']:,} forward passes of the encoder and"
        f" {found['decoder_passes']:,} of the decoder."
    )
    if round(drop, 2) <= -MISLED:
        text += (
            f" So large a drop says that {best['images']} validation images are too few to choose by, or unlike these."
        )
    return text
