"""The command `promptseg`."""

from pathlib import Path
from typing import Annotated

import typer

from promptseg import stage

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def about():
    """promptseg: how good is a promptable segmentation model on your pictures, and is fine-tuning worth it?"""


@app.command()
def check():
    """Check params.yaml before DVC runs: keys, names, prompts that the models take, parts that they have."""
    from promptseg import checking

    print(checking.check())


@app.command()
def verify(
    dataset: Annotated[str | None, typer.Argument(help="as in params.yaml; all that are there if left out")] = None,
    folder: Annotated[Path | None, typer.Argument(help="where its files are; data/raw/DATASET if left out")] = None,
    official: Annotated[bool, typer.Option("--official", help="pairs must be as many as in the official data")] = False,
):
    """Decode every picture of a dataset and say all that is wrong; exit code 1 if anything is."""
    from promptseg import inspecting

    if inspecting.verify(dataset, folder, official):
        raise typer.Exit(1)


@app.command()
def repro(
    targets: Annotated[
        list[str] | None, typer.Argument(help="stages as `dvc stage list` names them; all if none")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="how many stages at a time")] = 2,
):
    """`dvc repro` with independent stages side by side: the same outputs and the same dvc.lock, sooner."""
    from promptseg import reproducing

    reproducing.reproduce(jobs, targets or [])


def main():
    """Entry point: a Problem is one line and exit code 1, as in a stage."""
    stage.guarded(app)
