"""The command `promptseg`."""

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


def main():
    """Entry point: a Problem is one line and exit code 1, as in a stage."""
    stage.guarded(app)
