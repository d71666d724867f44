"""What the verdict says beside scores and gains: labels, words, thresholds, false alarms, floors, and cautions."""

from collections.abc import Iterator

from promptseg.report import searches
from promptseg.report.paired import EQUAL
from promptseg.report.verdict_facts import Candidate, Doubling, Facts, best
from promptseg.report.ways import PROMPTERS
from promptseg.report.wording import percent, signed

LISTENS = 2.0  # a phrase that is not there may mark up to so many times the area that it marked before training
LITTLE = 0.01  # share of an image that it may mark anyway
CLICKS_NAMED = (1, 3, 5, 9)  # numbers of clicks whose IoU is named beside the first and the last
SWEPT = {
    "jitter": "boxes whose sides are further out by up to this share of the image's longer side",
    "offset": "clicks that miss their place by this share of the object's longer side",
}


def remarks(facts: Facts, shown: list[Candidate]) -> Iterator[str]:
    """Yield the sentences that apply. shown: the runs that the verdict speaks of."""
    unit = str(facts.rows[0]["group_unit"])
    if facts.gains and unit != "image":
        yield f"A group of images: {unit}."
    for doubling in facts.doublings:
        yield _more_labels(doubling)
    yield from _searches(facts)
    yield from _seeds(facts)
    yield from _words_kept(facts)
    for candidate in shown:
        yield from _sweep(candidate)
    yield from _thresholds(facts)
    yield from _false_alarms(shown)
    yield from _floors(facts, shown)
    yield from _matched(facts)
    yield from _reported(facts)
    yield from _cautions(facts, shown)


def _more_labels(doubling: Doubling) -> str:
    small, large = (f"{100 * fraction:g} %" for fraction in doubling.fractions)
    difference = doubling.difference
    runs = f"{doubling.half} to {doubling.whole}"
    if doubling.is_same:
        return f"{doubling.half} and {doubling.whole} are equal: {small} of so few training groups are {large} of them."
    start = f"From {small} to {large} of the training groups, the score changes by {signed(difference.gain)}"
    if difference.interval is None:
        return f"{start} ({runs}); too few groups of test images to say whether more labels would help."
    low, high = difference.interval
    if high <= 2 * EQUAL:
        words = "there are enough labels"
    elif low > 0:
        words = "more labels are likely to help"
    else:
        words = "whether more labels would help is not clear"
    return f"{start} (95 % {signed(low)} to {signed(high)}; {runs}): {words}."


def _searches(facts: Facts) -> Iterator[str]:
    for candidate in facts.candidates:
        if "search" in candidate.summary:
            yield searches.sentence(candidate.name, candidate.summary["search"], candidate.row["headline"])


def _seeds(facts: Facts) -> Iterator[str]:
    """How much chance in training, or in the prompts, changes the score, which no interval over images knows."""
    for candidate in facts.candidates:
        scores = candidate.summary.get("seed_scores")
        if scores:
            mean, deviation = candidate.row["seed_mean"], candidate.row["seed_std"]
            listed = ", ".join(f"{score:.3f}" for _, score in scores)
            yield (
                f"{candidate.name} with {len(scores)} seeds: {listed}; mean {mean:.3f}, standard deviation"
                f" {deviation:.3f}. The first is its score here; intervals are over images and leave this out."
            )


def _words_kept(facts: Facts) -> Iterator[str]:
    """Whether a model that takes text still tells phrases apart after fine-tuning."""
    for gain in facts.gains:
        before, after = (c.summary.get("absent_phrase_area") for c in (gain.before, gain.after))
        if after is None:
            continue
        marks = f"marks {percent(after)} of an image for a phrase that is not there"
        if before is None or gain.why == "best untrained":
            yield f"{gain.after.name} {marks}."
        elif after <= max(LISTENS * before, LITTLE):
            yield f"It still knows words: {gain.after.name} {marks} ({percent(before)} before training)."
        else:
            yield (
                f"{gain.after.name} {marks} ({percent(before)} before training): it listens to words less than it did."
            )


def _sweep(candidate: Candidate) -> Iterator[str]:
    """How the score grows with clicks, or falls with prompts that are less exact."""
    found = candidate.summary.get("sweep")
    if found is None:
        return
    steps, ious = found["steps"], found["iou"]
    if found["by"] != "clicks":
        listed = ", ".join(f"{iou:.2f} at {step:g}" for step, iou in zip(steps, ious, strict=True))
        yield f"With {SWEPT[found['by']]}, {candidate.name} has {listed}."
        return
    named = [i for i, step in enumerate(steps) if step in (*CLICKS_NAMED, steps[0], steps[-1])]
    listed = ", ".join(f"{ious[i]:.2f} after {steps[i]}" for i in named)
    text = f"By clicks, {candidate.name} has {listed}"
    if "noc_80" in candidate.summary:
        failed, objects = found["failures"]["80"], found["objects"]
        text += f"; an IoU of 0.80 takes {candidate.summary['noc_80']:.1f} clicks an object"
        text += f", where {failed} of {objects} that do not reach it count as {steps[-1]}" if failed else ""
    yield f"{text}."


def _thresholds(facts: Facts) -> Iterator[str]:
    for prompter in PROMPTERS:
        top = facts.best(prompter)
        if top is not None and top.row["iou_tuned"] is not None and top.row["threshold"] != 0.5:
            yield (
                f"At the threshold that was chosen on the validation split, {top.row['threshold']:g}, {top.name} has"
                f" {top.row['iou_tuned']:.3f}; at 0.5, as everywhere else here, {top.score:.3f}."
            )


def _false_alarms(shown: list[Candidate]) -> Iterator[str]:
    """What the best run that nobody prompts marks where there is nothing; points of a cloud are no area."""
    top = best([c for c in shown if c.prompter == "nobody"])
    if top is None or "false_alarm_rate" not in top.summary or top.row["boundary_iou"] is None:
        return
    rate, area = percent(top.summary["false_alarm_rate"]), percent(top.summary["false_alarm_area"])
    unit = top.row["score"]
    if top.by_class:
        yield f"Where a class is absent, {top.name} marks it in {rate} of all cases, on average {area} of the {unit}."
        return
    number = top.summary["images_empty"]
    yield (
        f"Of {number} test {unit}{'s' if number > 1 else ''} with nothing to find, {top.name} marks something in"
        f" {rate}, on average {area} of the {unit}."
    )


def _floors(facts: Facts, shown: list[Candidate]) -> Iterator[str]:
    used = {c.row["floor"] for c in shown} - {None}
    names: dict[float, str] = {}
    for row in facts.rows:
        if row["headline"] in used and row["floor"] is None:  # a trivial run has no floor
            names.setdefault(row["headline"], row["run"])
    if names:
        listed = "; ".join(f"{name} {score:.2f}" for score, name in sorted(names.items()))
        yield f"Floors, without any network: {listed}."
    below = [f"{c.name} {c.score:.2f} (floor {c.row['floor']:.2f})" for c in shown if c.row["below_floor"]]
    if below:
        yield f"Below their floor: {'; '.join(below)}."


def _matched(facts: Facts) -> Iterator[str]:
    """Automatic masks, of which the ground truth chooses."""
    matched = [row for row in facts.rows if row["run"] in facts.matched]
    if matched:
        top = max(matched, key=lambda row: row["headline"])
        yield (
            f"Automatic masks reach {top['headline']:.2f} ({top['run']}) where the ground truth chooses among them;"
            " as nobody can use that, it is not ranked."
        )


def _reported(facts: Facts) -> Iterator[str]:
    reported = [
        f"{row['run']} {row['reported_iou']:.2f} (here {row['headline']:.2f})" for row in facts.rows
        if row["reported_iou"] is not None
    ]  # fmt: skip
    if reported:
        yield f"Reported elsewhere: {'; '.join(reported)}."


def _cautions(facts: Facts, shown: list[Candidate]) -> Iterator[str]:
    if len(facts.candidates) > 1:
        yield (
            f"The best were chosen among {len(facts.candidates)} runs by the scores on the test images themselves,"
            " which flatters them; no interval or p is corrected for that."
        )
    if any(c.prompter == "somebody" for c in shown):
        yield "Clicks, boxes and masks were taken from the ground truth, which is more exact than a hand."
    tested = [gain.after.row["training"] for gain in facts.gains]
    short = list(dict.fromkeys(training for training in tested if " of " in training))
    if short:
        yield f"Training was cut short: {'; '.join(short)}."
    if any(c.row["data"] == "sample" for c in shown):
        yield "The images are generated stand-ins: this shows that the pipeline works, and nothing of the real ones."
    tiny = sorted({c.row["model"] for c in shown if c.row["checkpoints"] == "tiny"})
    if tiny:
        yield f"Tiny networks took the place of the released {', '.join(tiny)}: their scores say nothing of these."
