"""`promptseg compare`: two runs on the same images."""

import difflib
from pathlib import Path

from promptseg.core.errors import UserError
from promptseg.evaluation import score_table
from promptseg.report import paired, verdict_text
from promptseg.report.paired import EQUAL, Difference
from promptseg.report.wording import p_text, signed

SCORES = Path("data/scores")


def compare(before: str, after: str) -> str:
    """Compare two runs in a table with a line over all and one for each class.

    Args:
        before: name of the run that is subtracted.
        after: name of the other run.

    Returns:
        Lines of text.

    Raises:
        UserError: a run has no scores, or the two are of different images.
    """
    for name in (before, after):
        if not (SCORES / f"{name}.parquet").is_file():
            close = difflib.get_close_matches(name, sorted(path.stem for path in SCORES.glob("*.parquet")))
            similar = f"; similar: {', '.join(close)}" if close else ""
            raise UserError(f"{SCORES}: no scores of a run {name!r}; `dvc repro` makes them{similar}")
    found = paired.compare(SCORES / f"{before}.parquet", SCORES / f"{after}.parquet")
    summary = score_table.read_summary(SCORES / f"{after}.parquet")
    rows = {"overall": found.overall, **found.by_class}
    table = [["", "before", "after", "difference", "95 % interval", "p", "better", "equal", "worse"]]
    table += [[name, *_cells(difference)] for name, difference in rows.items()]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [
        f"before: {before}",
        f"after:  {after}",
        f"{summary['headline']}: {verdict_text.evidence(found, found.overall)}",
    ]
    lines += [
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) for row in table
    ]
    lines.append(f"better, equal, worse: number of {summary['score']}s; equal: IoU differs by at most {EQUAL}")
    for words, ids in (("gained most", found.overall.best), ("lost most", found.overall.worst)):
        lines.append(f"{words}: {', '.join(ids) or 'none'}")
    return "\n".join(lines)


def _cells(difference: Difference) -> list[str]:
    ends = difference.interval
    return [
        f"{difference.before:.3f}",
        f"{difference.after:.3f}",
        f"{difference.gain:+.3f}",
        "none" if ends is None else f"{signed(ends[0])} to {signed(ends[1])}",
        "none" if difference.p is None else p_text(difference.p).removeprefix("p ").removeprefix("= "),
        str(difference.better),
        str(difference.equal),
        str(difference.worse),
    ]
