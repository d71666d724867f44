"""The verdict in sentences, each of which says one thing and can be read alone."""

from collections.abc import Iterator

from promptseg.evaluation.permutation import MINIMUM_GROUPS
from promptseg.report import verdict_remarks
from promptseg.report.paired import EQUAL, Comparison, Difference
from promptseg.report.verdict_facts import Candidate, Facts, Gain, best
from promptseg.report.ways import PROMPTERS, Prompter
from promptseg.report.wording import exact, groups, p_text, signed

WHO: dict[Prompter, str] = {
    "nobody": "Nobody clicks or draws",
    "somebody": "Somebody clicks or draws in each image",
}
WHY = {
    "same prompt": "{}, which is prompted the same and not trained",
    "named": "{}, the baseline that params.yaml names",
    "best untrained": "{}, the best untrained run of this kind",
}


def overall(facts: Facts) -> Iterator[str]:
    """Say which runs are best over all classes, whether one is good enough and whether fine-tuning was worth it."""
    shown = mentioned(facts)
    if not shown:
        yield "No run that somebody could use: only floors, or masks that the ground truth chose."
        return
    yield _good_enough(facts)
    yield from _scores(facts)
    for gain in facts.gains:
        yield _gain(gain, gain.comparison.overall)
        yield from _better_untrained(gain, facts)
    yield from verdict_remarks.remarks(facts, shown)


def of_class(facts: Facts, name: str) -> Iterator[str]:
    """Say the same of one class: scores, gains and whether a run is good enough for it."""
    one = facts.of_class(name)
    yield _good_enough(one)
    yield from _scores(one)
    for gain in one.gains:
        if name in gain.comparison.by_class:
            yield _gain(gain, gain.comparison.by_class[name])


def mentioned(facts: Facts) -> list[Candidate]:
    """The runs that the sentences over all classes speak of, once each."""
    found = [c for prompter in PROMPTERS for c in _best_of_families(facts, prompter)]
    found += [c for gain in facts.gains for c in (gain.before, gain.after)]
    return list({c.name: c for c in found}.values())


def evidence(comparison: Comparison, difference: Difference) -> str:
    """Give the interval and p of a difference; with fewer than 6 groups, the difference within each.

    Args:
        comparison: of two runs.
        difference: its overall one, or that of a class.
    """
    parts = []
    if difference.interval is not None:
        low, high = difference.interval
        parts.append(f"95 % {signed(low)} to {signed(high)}")
    parts.append(f"paired over {groups(comparison)}")
    if difference.p is not None:
        parts.append(p_text(difference.p))
    elif difference is comparison.overall:
        each = "; ".join(f"{name} {signed(value)}" for name, value in comparison.by_group.items())
        parts.append(f"too few for a test: {each}")
    else:
        parts.append(f"{'too few' if comparison.groups < MINIMUM_GROUPS else 'too few of which show it'} for a test")
    return ", ".join(parts)


def images(difference: Difference, unit: str) -> str:
    """Say on how many images the second run is better, equal and worse. unit: `image` or `tile`."""
    total = difference.better + difference.equal + difference.worse
    return f"better on {difference.better}, equal on {difference.equal}, worse on {difference.worse} of {total} {unit}s"


def _scores(facts: Facts) -> Iterator[str]:
    for prompter in PROMPTERS:
        found = _best_of_families(facts, prompter)
        if found:
            yield f"{WHO[prompter]}: {'; '.join(_described(c, facts) for c in found)}."


def _best_of_families(facts: Facts, prompter: Prompter) -> list[Candidate]:
    """The best run of each family, untrained ones first, in the order of the leaderboard."""
    families: dict[str, list[Candidate]] = {}
    for candidate in facts.candidates:
        if candidate.prompter == prompter:
            families.setdefault(candidate.family, []).append(candidate)
    found = [best(members) for members in families.values()]
    return sorted((c for c in found if c is not None), key=lambda candidate: candidate.is_finetuned)


def _described(candidate: Candidate, facts: Facts, digits: str = "") -> str:
    """`click once on each object 0.78 (em-sam-points; 16 clicks an image)`. digits: the score, where it has more."""
    about = [candidate.name] + [candidate.cost] * bool(candidate.cost)
    training = ""
    if candidate.is_finetuned:
        fraction = facts.train_fractions.get(candidate.name, 1.0)
        share = f"{100 * fraction:g} % of " * (fraction < 1)
        number = f" with {share}{facts.train_images} images" if facts.train_images else ""
        training = f"fine-tuned{number}, "
    return f"{training}{candidate.way} {digits or f'{candidate.score:.2f}'} ({'; '.join(about)})"


def _gain(gain: Gain, difference: Difference) -> str:
    other, change = WHY[gain.why].format(gain.before.name), difference.gain
    unit = gain.after.row["score"]
    told = f"({evidence(gain.comparison, difference)}); {images(difference, unit)}"
    if gain.comparison.by_class and change * (difference.better - difference.worse) < 0 and abs(change) > EQUAL:
        told += f", while the score is that of the pixels of all {unit}s together"
    if difference.is_shown:
        verb = "gains" if change > 0 else "loses"
        return f"Fine-tuning {verb} {abs(change):.2f}: {gain.after.name} against {other} {told}."
    if difference.interval is None or difference.p is None:
        start = "No test is possible"
    else:
        start = "No gain shown" if change >= 0 else "Neither gain nor loss shown"
    return f"{start}: {signed(change)}, {gain.after.name} against {other} {told}."


def _better_untrained(gain: Gain, facts: Facts) -> Iterator[str]:
    """Name an untrained run of the same kind that has more than the fine-tuned one."""
    other = facts.best(gain.after.prompter, is_finetuned=False)
    if other is not None and other.score > gain.after.score and other.name != gain.before.name:
        yield f"Without training, another way has more: {_described(other, facts)}."


def _good_enough(facts: Facts) -> str:
    level = facts.good_enough
    start = f"Good enough ({level:.2f}):"
    tops = [facts.best(prompter, is_finetuned) for prompter in PROMPTERS for is_finetuned in (False, True)]
    reached = [c for c in tops if c is not None and c.score >= level]
    if reached:
        return f"{start} yes, {'; or '.join(_reached(c, facts) for c in reached)}."
    highest = [c for c in (facts.best(prompter) for prompter in PROMPTERS) if c is not None]
    best_ones = [_described(c, facts, exact(c.score, level)) for c in highest]
    return f"{start} no; the best {'are' if len(best_ones) > 1 else 'is'} {' and '.join(best_ones)}."


def _reached(candidate: Candidate, facts: Facts) -> str:
    text = _described(candidate, facts, exact(candidate.score, facts.good_enough))
    text += "" if candidate.is_finetuned else " without training"
    low = candidate.row["iou_ci_low"] if candidate.score == candidate.row["headline"] else None
    return text + (
        f", though its 95 % interval begins at {low:.2f}" if low is not None and low < facts.good_enough else ""
    )
