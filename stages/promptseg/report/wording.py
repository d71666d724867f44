"""Numbers of the verdict in words."""

from promptseg.report.paired import Comparison


def groups(comparison: Comparison) -> str:
    """`18 groups`."""
    return f"{comparison.groups} group{'' if comparison.groups == 1 else 's'}"


def p_text(p: float) -> str:
    """`p = 0.002`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def signed(value: float) -> str:
    """`+0.06`; a difference that rounds to 0 has no sign."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text


def percent(share: float) -> str:
    """`34 %`; `3.1 %` of small shares."""
    return f"{100 * share:.0f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.1f} %"


def exact(score: float, level: float) -> str:
    """A score in two digits, or in as many as show on which side of the level it is."""
    digits = (2, 3, 4, 6)
    texts = [f"{score:.{count}f}" for count in digits]
    return next((text for text in texts if (float(text) < level) == (score < level)), texts[-1])
