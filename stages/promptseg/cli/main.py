"""The command `promptseg`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from promptseg.core import stage

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def about():
    """promptseg: how good is a promptable segmentation model on your pictures, and is fine-tuning worth it?"""


@app.command()
def check():
    """Check params.yaml before DVC runs: keys, names, prompts that the models take, parts that they have."""
    from promptseg.cli import check

    print(check.check())


@app.command()
def verify(
    dataset: Annotated[str | None, typer.Argument(help="as in params.yaml; all that are there if left out")] = None,
    folder: Annotated[Path | None, typer.Argument(help="where its files are; data/raw/DATASET if left out")] = None,
    official: Annotated[bool, typer.Option("--official", help="pairs must be as many as in the official data")] = False,
):
    """Decode every picture of a dataset and say all that is wrong; exit code 1 if anything is."""
    from promptseg.cli import verify

    if verify.verify(dataset, folder, official):
        raise typer.Exit(1)


@app.command()
def segment(
    pictures: Annotated[list[Path], typer.Argument(help="PNG, JPEG and TIFF files, TIFF stacks, folders of them")],
    model: Annotated[str | None, typer.Option(help="its name, as in params.yaml")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="a fine-tuned run, such as data/weights/fires-clipseg-20, instead of --model")
    ] = None,
    text: Annotated[list[str], typer.Option(help="what to look for; several times: a class each")] = [],
    box: Annotated[
        list[str], typer.Option(help="X0,Y0,X1,Y1 in pixels round an object; several times: all of them")
    ] = [],
    point: Annotated[list[str], typer.Option(help="X,Y in pixels on the object; several times: all on one")] = [],
    no_point: Annotated[list[str], typer.Option(help="X,Y in pixels that is not on it")] = [],
    support: Annotated[
        Path | None, typer.Option(help="another picture that shows what to look for; alone or with one --text")
    ] = None,
    support_mask: Annotated[Path | None, typer.Option(help="where in it: not black in this PNG or TIFF file")] = None,
    auto: Annotated[bool, typer.Option("--auto", help="all masks that the model finds by itself")] = False,
    auto_points: Annotated[int | None, typer.Option(min=1, help="points a side of the grid of --auto; 32")] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="names, with commas; a model that takes words looks for them if there is no --text"),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="folder of the weights; data/checkpoints/MODEL if left out")
    ] = None,
    out: Annotated[Path, typer.Option(help="where masks, overlays and run lengths are written")] = Path("segments"),
    threshold: Annotated[float, typer.Option(help="probability from which on a pixel counts")] = 0.5,
    window: Annotated[str | None, typer.Option(help="LOW,HIGH: what is black and white in 16-bit pictures")] = None,
):
    """Segment pictures with a model of your choice: a mask, an overlay to look at and COCO run lengths for each."""
    from promptseg.cli import open_images, prompt_options
    from promptseg.core import params
    from promptseg.core.errors import UserError

    if auto_points is not None and not auto:
        raise UserError("--auto-points belongs to --auto")
    levels = prompt_options.window(window) if window is not None else None
    grid = {} if auto_points is None else {"points": auto_points}
    question = prompt_options.Question(
        tuple(text),
        tuple(prompt_options.numbers(each, 4, "--box") for each in box),
        tuple(prompt_options.numbers(each, 2, "--point") for each in point),
        tuple(prompt_options.numbers(each, 2, "--no-point") for each in no_point),
        params.Automatic(**grid) if auto else None,
        prompt_options.example(support, support_mask, levels),
    )
    names = prompt_options.names(classes) if classes is not None else []
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    from promptseg.cli import load_model, segment

    found = list(open_images.pictures(pictures, levels, without=out))
    segment.segment(found, load_model.choose(question, model, weights, checkpoint, names), threshold, out)


@app.command()
def doctor(
    fit: Annotated[
        str | None, typer.Option(metavar="RUN", help="only whether this fine-tuned run fits, and how long it takes")
    ] = None,
):
    """Say what this machine has, what of params.yaml's datasets and weights is here, and what brings the rest."""
    from promptseg.cli import doctor, plan

    if fit is not None:
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
        plan.plan(fit)
        return
    if not doctor.report():
        raise typer.Exit(1)


@app.command()
def repro(
    targets: Annotated[
        list[str] | None, typer.Argument(help="stages as `dvc stage list` names them; all if none")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="how many stages at a time")] = 2,
):
    """`dvc repro` with independent stages side by side: the same outputs and the same dvc.lock, sooner."""
    from promptseg.cli import repro

    repro.reproduce(jobs, targets or [])


def main():
    """Entry point: a UserError is one line and exit code 1, as in a stage."""
    stage.guarded(app)
