"""`promptseg export`: take a run home, its model or its masks."""

from pathlib import Path

from promptseg import export as exports
from promptseg.core import study
from promptseg.export.run import ExportedRun, Folders
from promptseg.report import searches

OUT = Path("exports")


def export(name: str, form: str, out: Path | None, adapter: bool) -> str:
    """Export a run.

    Args:
        name: of the run, as in params.yaml.
        form: one of `export.FORMATS`.
        out: folder; None: exports/<run>-<format>.
        adapter: keep the adapters of a LoRA run apart.

    Returns:
        One line of text.

    Raises:
        UserError: see `export.export`.
    """
    exports.load(form)  # before anything is read
    folder = out or OUT / f"{name}-{form}"
    folders = Folders()
    settings = searches.with_winners(study.load(), folders.scores)
    how = exports.export(ExportedRun(name, settings, folders), form, folder, adapter)
    return f"{folder}: {how}"
