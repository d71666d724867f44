"""The verdict in sentences, each of which says one thing and can be read alone."""

import re
from collections.abc import Iterable, Iterator

from promptseg.report.paired import EQUAL, Comparison, Difference
from promptseg.report.verdict_facts import Candidate, Doubling, Facts, Gain, best
from promptseg.report.ways import PROMPTERS, Prompter

WHO: dict[Prompter, str] = {"nobody": "Nobody prompts", "somebody": "Somebody prompts each image"}
LISTENS = 2.0  # a phrase that is not there marks no more than this times the area that it marked before training


def overall(facts: Facts) -> Iterator[str]:
    """Say which runs are best over all classes, whether one is good enough and whether fine-tuning was worth it."""
    shown = mentioned(facts)
    if not shown:
        yield "No run of a model that somebody could use: only floors, or masks that the ground truth chose."
        return
    yield from _scores(facts)
    for gain in facts.gains:
        yield from _gain(gain, gain.comparison.overall)
    yield _good_enough(facts)
    for doubling in facts.doublings:
        yield _more_labels(doubling)
    yield from _words_kept(facts)
    yield from _thresholds(facts)
    yield from _false_alarms(shown)
    yield from _beside(facts, shown)
    yield from _cautions(facts, shown)


def of_class(facts: Facts, name: str) -> Iterator[str]:
    """Say the same of one class: scores, gains and whether a run is good enough for it."""
    one = facts.of_class(name)
    yield from _scores(one)
    for gain in one.gains:
        if name in gain.comparison.by_class:
            yield from _gain(gain, gain.comparison.by_class[name])
    yield _good_enough(one)


def mentioned(facts: Facts) -> list[Candidate]:
    """The runs that the sentences over all classes speak of, once each."""
    found = [c for prompter in PROMPTERS for c in _best_of_families(facts, prompter)]
    found += [c for gain in facts.gains for c in (gain.before, gain.after)]
    return list({c.name: c for c in found}.values())


def differences(comparison: Comparison, difference: Difference, unit: str) -> str:
    """Put a comparison in words: interval, test, and images better, equal and worse.

    Args:
        comparison: of two runs.
        difference: its overall one, or that of a class.
        unit: what a group is.
    """
    total = difference.better + difference.equal + difference.worse
    images = f"better on {difference.better}, equal on {difference.equal}, worse on {difference.worse} of {total}"
    if difference.interval is None and difference.p is None and difference is comparison.overall:
        listed = list(comparison.by_group.items())
        each = "; ".join(f"{name} {value:+.2f}" for name, value in listed)
        return f"{_groups(comparison.groups, unit)}, too few for an interval or a test: {each}; {images}"
    parts = []
    if difference.interval is not None:
        low, high = difference.interval
        parts.append(f"95 % {_signed(low)} to {_signed(high)}")
    parts.append(f"paired over {_groups(comparison.groups, unit)}")
    parts.append(_p(difference.p) if difference.p is not None else "too few for a test")
    return f"{', '.join(parts)}; {images}"


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


def _described(candidate: Candidate, facts: Facts) -> str:
    """`click each object 0.78 (em-sam-points; 16 clicks an image)`."""
    about = [candidate.name] + [candidate.cost] * bool(candidate.cost)
    training = ""
    if candidate.is_finetuned:
        images = facts.train_images
        fraction = facts.train_fractions.get(candidate.name, 1.0)
        share = f"{100 * fraction:g} % of " * (fraction < 1)
        training = f"fine-tuned{f' with {share}{images} images' if images else ''}, "
    return f"{training}{candidate.way} {candidate.score:.2f} ({'; '.join(about)})"


def _gain(gain: Gain, difference: Difference) -> Iterator[str]:
    unit = str(gain.after.row["group_unit"])
    after, before, change = gain.after.name, gain.before.name, difference.gain
    other = (
        f"{before}, its baseline" if gain.is_own
        else f"{before}, the best untrained run that {gain.before.prompter} prompts, as it has no run of its own before training"
    )  # fmt: skip
    told = differences(gain.comparison, difference, unit)
    if difference.is_shown:
        verb = "gained" if change > 0 else "lost"
        yield f"Fine-tuning {verb} {abs(change):.2f}: {after} against {other} ({told})."
    else:
        can = difference.interval is not None and difference.p is not None
        word = "No gain shown" if can else "Whether fine-tuning gained anything cannot be tested"
        yield f"{word}: {after} {_signed(change)} against {other} ({told})."


def _good_enough(facts: Facts) -> str:
    start = f"Good enough ({facts.good_enough:.2f}):"
    found, missed = [], []
    for prompter in PROMPTERS:
        who = "nobody prompting" if prompter == "nobody" else "somebody prompting each image"
        for is_finetuned in (False, True):
            top = facts.best(prompter, is_finetuned)
            if top is None:
                continue
            how = "fine-tuned" if is_finetuned else "without training"
            text = f"{who}, {how} {_exact(top.score, facts.good_enough)} ({top.name}"
            if top.score < facts.good_enough:
                missed.append((top.score, f"{text})"))
                continue
            low = top.row["iou_ci_low"] if top.score == top.row["headline"] else None
            unsure = f"; its 95 % interval begins at {low:.2f}" if low is not None and low < facts.good_enough else ""
            found.append(f"{text}{unsure})")
    if found:
        return f"{start} yes, {'; or '.join(found)}."
    return f"{start} no; {'; '.join(text for _, text in missed)}."


def _exact(score: float, level: float) -> str:
    """A score in two digits, or in as many as show on which side of the level it is."""
    for digits in (2, 3, 4, 6):
        text = f"{score:.{digits}f}"
        if (float(text) < level) == (score < level):
            return text
    return text


def _more_labels(doubling: Doubling) -> str:
    small, large = (f"{100 * fraction:g} %" for fraction in doubling.fractions)
    difference = doubling.difference
    start = f"From {small} to {large} of the training groups: {_signed(difference.gain)}"
    if difference.interval is None:
        return f"{start} ({doubling.half} to {doubling.whole}); too few groups to say whether more labels would help."
    low, high = difference.interval
    more = low > 0
    words = "more labels should help" if more else "no sign that more labels would help"
    if not more and high > 2 * EQUAL:
        words = f"not clear whether more labels would help, as up to {_signed(high)} is possible"
    return f"{start} (95 % {_signed(low)} to {_signed(high)}; {doubling.half} to {doubling.whole}): {words}."


def _words_kept(facts: Facts) -> Iterator[str]:
    """Whether a model that takes text still tells phrases apart after fine-tuning."""
    for gain in facts.gains:
        before, after = (c.summary.get("absent_phrase_area") for c in (gain.before, gain.after))
        if after is None:
            continue
        was = f" ({_percent(before)} before)" if before is not None and gain.is_own else ""
        area = f"for a phrase that is not there, {gain.after.name} marks {_percent(after)} of an image{was}"
        if before is None or not gain.is_own:
            yield f"{area[0].upper()}{area[1:]}."
        elif after <= max(LISTENS * before, 0.01):
            yield f"It still knows words: {area}."
        else:
            yield f"It listens to words less than before: {area}."


def _thresholds(facts: Facts) -> Iterator[str]:
    """Scores at the threshold that was chosen on the validation split, of the best runs."""
    for prompter in PROMPTERS:
        top = facts.best(prompter)
        if top is not None and top.row["iou_tuned"] is not None and top.row["threshold"] != 0.5:
            yield (
                f"With the threshold that was chosen on the validation split, {top.row['threshold']:g} in place of 0.5,"
                f" {top.name} has {top.row['iou_tuned']:.3f} in place of {top.score:.3f}."
            )


def _false_alarms(shown: Iterable[Candidate]) -> Iterator[str]:
    """What the best run that nobody prompts marks where there is nothing."""
    top = best([c for c in shown if c.prompter == "nobody"])
    if top is None or "false_alarm_rate" not in top.summary:
        return
    rate, area = _percent(top.summary["false_alarm_rate"]), _percent(top.summary["false_alarm_area"])
    if top.by_class:
        yield (
            f"Where an image lacks a class, {top.name} marks it all the same in {rate} of the cases, on average {area}"
            " of the image."
        )
    else:
        number = top.summary["images_empty"]
        unit = f"{top.row['score']}{'s' if number > 1 else ''}"
        yield (
            f"In {rate} of the {number} test {unit} without anything to find, {top.name} marks something, on average"
            f" {area} of the {top.row['score']}."
        )


def _beside(facts: Facts, shown: list[Candidate]) -> Iterator[str]:
    """Floors, automatic masks and reported figures."""
    floors: dict[float, str] = {}
    for row in facts.rows:
        if row["floor"] is not None and row["run"] in {c.name for c in shown}:
            floors.setdefault(row["floor"], "")
    for floor in floors:
        names = [row["run"] for row in facts.rows if row["headline"] == floor and row["floor"] is None]
        floors[floor] = f"{names[0]} {floor:.2f}"
    if floors:
        yield f"Floors, which no network is needed for: {'; '.join(floors.values())}."
    below = [f"{c.name} {c.score:.2f} (floor {c.row['floor']:.2f})" for c in shown if c.row["below_floor"]]
    if below:
        yield f"Below their floor: {'; '.join(below)}."
    matched = [row for row in facts.rows if row["prompt"] == "automatic masks"]
    if matched:
        top = max(matched, key=lambda row: row["headline"])
        yield (
            f"Automatic masks reach {top['headline']:.2f} ({top['run']}) where the ground truth chooses among them:"
            " nobody could use that, so it is ranked nowhere."
        )
    reported = [f"{row['run']} {row['reported_iou']:.2f}" for row in facts.rows if row["reported_iou"] is not None]
    if reported:
        yield f"Reported by the study: {'; '.join(reported)}."


def _cautions(facts: Facts, shown: list[Candidate]) -> Iterator[str]:
    if len(facts.candidates) > 1:
        yield (
            f"The best of {len(facts.candidates)} runs were picked by the scores on the test images themselves, which"
            " flatters them; no interval or p is corrected for it."
        )
    stand_ins = ["weights"] * any(c.row["checkpoints"] == "tiny" for c in shown)
    stand_ins += ["images"] * any(c.row["data"] == "sample" for c in shown)
    if stand_ins:
        yield (
            f"Small stand-ins took the place of the official {' and '.join(stand_ins)}: this shows that the pipeline"
            " works, and says nothing of the real ones."
        )


def _groups(number: int, unit: str) -> str:
    """`18 plates`; `3 groups (block of 5 slices within one volume)`."""
    if re.fullmatch(r"[a-z]+(?: [a-z]+)?", unit) and " of " not in unit:
        plural = unit[:-1] + "ies" if re.search("[^aeiou]y$", unit) else f"{unit}s"
        return f"{number} {unit if number == 1 else plural}"
    return f"{number} group{'s' if number > 1 else ''} ({unit})"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _signed(value: float) -> str:
    """`+0.06`; a difference that rounds to 0 has no sign."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.1f} %"
