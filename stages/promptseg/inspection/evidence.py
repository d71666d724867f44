"""What `promptseg init` prints of a folder."""

import math
from collections.abc import Iterator

from promptseg.inspection.description import Description
from promptseg.inspection.look import Findings

_LINES = 20  # classes that get a line each
_PROBLEMS = 10  # that are named


def of_description(description: Description) -> Iterator[str]:
    """Yield the lines that say how a folder is read."""
    for what, words in description.evidence:
        yield _line(what, words)
    if description.groups is not None:
        found = description.groups
        yield _line("groups", f"likely, from {found.source}: {found.pattern}: {found.count:,}")


def of_findings(findings: Findings) -> Iterator[str]:
    """Yield the lines that say what is in a folder."""
    low, middle, high = findings.sides
    sizes = _size(low) if low == high else f"{_size(low)} to {_size(high)}, median {_size(middle)}"
    yield _line("sizes", sizes)
    yield from _classes(findings)
    yield from _instances(findings)
    yield from _splits(findings)
    yield from _duplicates(findings)
    problems = findings.description.problems
    if problems:
        yield _line("problems", f"{len(problems):,}; what cannot be read is left out (skip_invalid: true)")
        yield from (_line("", line) for line in problems[:_PROBLEMS])
        if len(problems) > _PROBLEMS:
            yield _line("", f"and {len(problems) - _PROBLEMS:,} more")
    else:
        yield _line("problems", "none found")


def _classes(findings: Findings) -> Iterator[str]:
    found = findings.contents
    total = findings.total
    of = f"{found.measured:,} images" + ("" if total == found.measured else f" that were measured, of {total:,}")
    for number, (name, each) in enumerate(findings.classes.items()):
        if number == _LINES:
            yield _line("", f"and {len(findings.classes) - _LINES} more classes")
            return
        side = round(math.sqrt(each.median_area))
        words = f"in {each.images:,} of {of}"
        if each.images:
            words += (
                f", {each.instances:,} instances, median {side}x{side} pixels, {100 * each.share:.1f} % of the image"
            )
        yield _line("" if number else "found", f"{name}: {words}")
    if found.empty:
        yield _line("empty", f"{found.empty:,} masks without any of these: for the test alone")


def _instances(findings: Findings) -> Iterator[str]:
    found = findings.contents
    components = "connected components, so objects that touch count as one"
    if not found.known:
        yield _line("instances", components)
        return
    some = found.measured - found.empty - found.known
    where = f" in {found.known:,} images; in {some:,} they, or those of some classes, are {components}" if some else ""
    yield _line("instances", f"told apart by the source{where}")
    if found.touching:
        yield _line("", f"{found.touching:,} touch another one")


def _splits(findings: Findings) -> Iterator[str]:
    own = findings.own_splits
    counts = ", ".join(f"{split} {count:,}" for split, count in findings.samples.items())
    yield _line("splits", f"{counts}; " + (f"the folder has {', '.join(own)}" if own else "made of whole groups"))
    if findings.groups < findings.total:
        yield _line("groups", f"{findings.groups:,}; a group is: {findings.group_unit}")
    if between := findings.total - sum(findings.samples.values()):
        yield _line("", f"{between:,} between two splits are left out: they are like both")
    missing = [split for split, count in findings.samples.items() if not count]
    if missing:
        yield _line("", f"nothing is left for {' and '.join(missing)}: too few groups, or images")


def _duplicates(findings: Findings) -> Iterator[str]:
    found = findings.duplicates
    total = findings.total
    of = f"of {found.looked_at:,} images" + ("" if found.looked_at >= total else f" that were compared, of {total:,}")
    words = f"{found.pairs:,} {of} are like an earlier one"
    if found.across and findings.own_splits:
        words += f"; {found.across:,} of them in another split: scores on test will be too high"
    yield _line("alike", words if found.pairs else f"none {of}")


def _line(what: str, words: str) -> str:
    return f"  {what:<10}{words}"


def _size(side: tuple[int, int]) -> str:
    return f"{side[1]}x{side[0]}"
