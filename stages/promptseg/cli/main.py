"""The command `promptseg`."""

import os
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from promptseg.core import stage


class Commands(TyperGroup):
    """Adds the options of prompts to `segment` where it is called; they import numpy and pydantic."""

    def resolve_command(self, ctx, args):
        """Find a command, `segment` with the options of all kinds of prompts."""
        if args[:1] == ["segment"]:
            from promptseg.cli.prompt_options import with_prompt_options

            single = typer.Typer(add_completion=False)
            single.command()(with_prompt_options(segment))
            self.add_command(typer.main.get_command(single), "segment")
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def about():
    """promptseg: how good is a promptable segmentation model on your images, and is fine-tuning worth it?"""


@app.command()
def init(
    folder: Annotated[Path | None, typer.Argument(help="of your images and masks, in any layout")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="ask nothing: take the defaults")] = False,
    group: Annotated[
        str | None, typer.Option(help="regular expression on an image's path: its (...) is what must not be split")
    ] = None,
    classes: Annotated[str | None, typer.Option(help="names, with commas")] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            help="words for a text prompt, others after |; with several classes, a phrase for each, with commas; "
            "repeatable"
        ),
    ] = None,
    models: Annotated[
        str, typer.Option(help="further promptable models to try, with commas: medsam,seggpt; see docs/models.md")
    ] = "",
    weights: Annotated[
        list[str] | None,
        typer.Option(help="NAME=PATH: released weights, as sam2=../weights/sam2-hiera-tiny; repeatable"),
    ] = None,
    hours: Annotated[float, typer.Option(min=0.01, help="that the study may take on this machine")] = 1.0,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="also: numbers of clicks, corrections, loose boxes, other seeds")
    ] = False,
    good_enough: Annotated[float, typer.Option(min=0.0, max=0.999, help="score that is good enough for you")] = 0.8,
    force: Annotated[
        bool, typer.Option("--force", help="overwrite edits of params.yaml that are in no commit")
    ] = False,
    study: Annotated[
        str | None, typer.Option(help="bring back a shipped study instead: default, published, today")
    ] = None,
):
    """Look at a folder of images and masks, say what is in it, and write a small study of it to params.yaml."""
    from promptseg.cli import init
    from promptseg.core.errors import UserError

    if study is not None and folder is None:
        init.restore(study, force)
        return
    if study is not None or folder is None:
        raise UserError("init: give the folder of your images, or --study default")
    init.check_interactive(yes)
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")  # released weights are fetched by `dvc repro` alone
    options = init.Options(
        interactive=not yes, group=group, classes=classes, text=text or (), models=models, weights=weights or (),
        hours=hours, thorough=thorough, good_enough=good_enough, force=force,
    )  # fmt: skip
    init.init(folder, options)


@app.command()
def check():
    """Check params.yaml before DVC runs: keys, names, prompts that the models take, settings of training."""
    from promptseg.cli import check

    print(check.check())


@app.command()
def verify(
    dataset: Annotated[str | None, typer.Argument(help="as in params.yaml; all that are here if left out")] = None,
    folder: Annotated[Path | None, typer.Argument(help="of its files; datasets.DATASET.raw if left out")] = None,
    official: Annotated[
        bool, typer.Option("--official", help="expect as many samples as in the official data")
    ] = False,
):
    """Decode every image and mask of a dataset and list all errors; exit code 1 if there are any."""
    from promptseg.cli import verify

    if verify.verify(dataset, folder, official):
        raise typer.Exit(1)


def segment(
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG, WebP and TIFF files, TIFF stacks, folders of them")],
    model: Annotated[str | None, typer.Option(help="its name, as in params.yaml")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="a fine-tuned run, such as data/weights/fires-clipseg-20, instead of --model")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="folder or file of released weights, `tiny` or `official`; if left out, data/checkpoints/MODEL, or "
            "official"
        ),
    ] = None,
    cascade: Annotated[str | None, typer.Option(help="sam or sam2: refine the masks, which become its prompts")] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="names, with commas; text prompts of a model that takes them, without --text; needed for a model that "
            "takes no prompt and was not fine-tuned"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="folder of the results, which have NAME in their names")] = Path("segments"),
    threshold: Annotated[
        float | None,
        typer.Option(
            help="probability from which on a pixel is foreground; if left out, that of the fine-tuned run, which is "
            "the best on its validation split, or 0.5"
        ),
    ] = None,
    window: Annotated[str | None, typer.Option(help="LOW,HIGH: black and white in 16-bit images")] = None,
    **prompts,
):
    """Segment images with a model of your choice: a mask, an overlay and COCO run lengths for each.

    NAME_mask.png     0 background, 1, 2, ... the classes or the masks
    NAME_overlay.png  the image with the masks and prompts over it
    NAME.json         run lengths, areas and boxes, prompts, model

    NAME is that of the image's file without suffix, after its subfolder
    where a folder was given, with the number of a stack's slice: a, sub/a,
    stack_007. Images that would share a NAME have their suffix or their
    folder in it: a.png and a.jpg, or x/a and y/a.
    """
    from promptseg.cli import open_images, prompt_options

    levels = open_images.parse_window(window) if window is not None else None
    request = prompt_options.parse(prompts, levels)
    # Models whose weights are in data/checkpoints, or else fetched.
    named = [name for name in ([cascade] if weights or checkpoint else [model, cascade]) if name]
    here = all((Path("data/checkpoints") / name).is_dir() for name in named)
    if checkpoint == "tiny" or (here and checkpoint != "official"):
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    from promptseg.cli import load_model, segment

    names = prompt_options.parse_classes(classes) if classes is not None else []
    selection = load_model.Selection(model, weights, checkpoint, cascade, names)
    opened = open_images.open_images(images, levels, exclude=out)
    segment.segment(opened, load_model.load(selection, request), threshold, out)


@app.command("segment", help=segment.__doc__)
def _listed():
    """In the list of commands; `Commands` puts `segment` itself in its place."""


@app.command()
def doctor(
    fit: Annotated[
        str | None, typer.Option(metavar="RUN", help="only whether this run fits, and how long it takes")
    ] = None,
):
    """Show what this machine has, which data and weights of params.yaml are here, and how to get the rest."""
    from promptseg.cli import doctor, plan

    if fit is not None:
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
        plan.plan(fit)
        return
    if not doctor.report():
        raise typer.Exit(1)


@app.command()
def verdict(
    dataset: Annotated[str | None, typer.Argument(help="as in params.yaml; all that have scores if left out")] = None,
):
    """Say which model, prompted how, is good enough on a dataset, and whether fine-tuning was worth it."""
    from promptseg.cli import verdict

    print(verdict.verdict(dataset))


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="RUN", help="a run as in params.yaml")],
    after: Annotated[str, typer.Argument(metavar="RUN", help="another run on the same images")],
):
    """Compare two runs on the same images: differences, intervals, a test, and the images that differ most."""
    from promptseg.cli import compare

    print(compare.compare(before, after))


@app.command()
def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run as in params.yaml")],
    form: Annotated[str, typer.Option("--format", help="coco, fiftyone, hub, labels or onnx")],
    out: Annotated[Path | None, typer.Option(help="folder; exports/RUN-FORMAT if left out")] = None,
    adapter: Annotated[
        bool, typer.Option("--adapter", help="keep the adapters of a LoRA run apart (hub), in peft's layout")
    ] = False,
):
    """Export a run: its model with a model card (hub, onnx), or its masks and the ground truth with scores.

    hub       config.json, model.safetensors, what prepares images
    onnx      U-Net as one file; SAM and SAM 2 as encoder and decoder
    coco      two JSON files with run lengths, and the images
    labels    label images, the images, and the table of scores
    fiftyone  a dataset that FiftyOne opens
    """
    from promptseg.cli import export

    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    print(export.export(run, form, out, adapter))


@app.command()
def repro(
    targets: Annotated[
        list[str] | None, typer.Argument(help="stages as `dvc stage list` names them; all if left out")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="processes at a time")] = 2,
):
    """`dvc repro` with independent stages side by side: the same outputs and the same dvc.lock, sooner."""
    from promptseg.cli import repro

    repro.reproduce(jobs, targets or [])


@app.command()
def reproduce(
    targets: Annotated[list[str] | None, typer.Argument(help="names of figures; all if left out")] = None,
    file: Annotated[
        Path | None, typer.Option(help="targets of your own, in the form of the shipped targets.yaml")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="run nothing: say which could be tested here")] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="every step but the figure, at the scale of params.yaml")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="for other programs")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="processes at a time")] = 2,
):
    """Reproduce published figures: run what they need and say pass, fail by how much, or why not here.

    Exit code 1 if one fails.
    """
    from promptseg.cli import reproduce
    from promptseg.evaluation.targets import SHIPPED

    path, names = file or SHIPPED, targets or []
    found = reproduce.states(path, names) if show else reproduce.reproduce(path, names, rehearse, jobs)
    print(reproduce.as_json(found) if as_json else reproduce.text(found))
    if any(result.state == "fail" for result in found):
        raise typer.Exit(1)


def main():
    """Run the command; a UserError is one line and exit code 1, as in a stage."""
    stage.guarded(app)
