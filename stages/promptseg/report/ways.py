"""How a run would be used: who prompts, in which words that is said, and what it costs."""

from typing import Literal

from promptseg.core.runs import Cascade, FineTune
from promptseg.core.study import Study

Prompter = Literal["nobody", "somebody", "ground truth"]
PROMPTERS: tuple[Prompter, ...] = ("nobody", "somebody")  # those whose runs are ranked, each by themselves


def prompter(study: Study, run: str) -> Prompter:
    """Say who prompts each image.

    Returns:
        `somebody`: clicks, boxes or masks are given for each image; here they are taken from the ground truth.
        `nobody`: a phrase, a support image or nothing is given once for all of them. `ground truth`: automatic
        masks, of which the ground truth chooses; nobody could use such a run. A cascade is prompted
        as the run that it refines.
    """
    found = study.run(run)
    if isinstance(found, Cascade):
        return prompter(study, found.source)
    if found.prompt.kind == "automatic":
        return "ground truth"
    return "somebody" if found.prompt.oracle else "nobody"


def family(study: Study, run: str) -> str:
    """Name runs of which the verdict shows the best one: fine-tuned, cascades, or the kind of their prompts."""
    found = study.run(run)
    if is_finetuned(study, run):
        return "fine-tuned"
    return "cascade" if isinstance(found, Cascade) else f"{found.prompt.kind} {found.prompt.per}"


def is_finetuned(study: Study, run: str) -> bool:
    """Whether a run, or the run that a cascade refines, was fine-tuned."""
    found = study.run(run)
    return is_finetuned(study, found.source) if isinstance(found, Cascade) else isinstance(found, FineTune)


def describe(study: Study, run: str, classes: int) -> str:
    """Say how a run is prompted: `click each object`, `type "black spots", refined by sam2`.

    Args:
        study: params.yaml.
        run: its name.
        classes: number of classes of its dataset.
    """
    found = study.run(run)
    if isinstance(found, Cascade):
        return f"{describe(study, found.source, classes)}, refined by {found.model}"
    prompt = found.prompt
    each = prompt.per == "instance"
    where = "each class" if classes > 1 else "each image"
    words = []
    if prompt.text:
        phrases = {"class": "the class names", "caption": "the caption of each image"}
        listed = isinstance(prompt.text, list)
        words.append("type " + (", ".join(f'"{p}"' for p in prompt.text) if listed else phrases[prompt.text]))
    if prompt.support:
        shots = getattr(prompt.support, "shots", None)  # without them each record has one of its own
        words.append(
            "show a support image" if shots is None else f"show {shots} training image{'s' * (shots > 1)} once"
        )
    if prompt.exemplars:
        boxes = "a box around an object" if prompt.exemplars == 1 else f"boxes around {prompt.exemplars} objects"
        others = f" and {prompt.negatives} of other classes" * bool(prompt.negatives)
        words.append(f"draw {boxes} {'of' if classes > 1 else 'in'} {where}{others}")
    if prompt.box or prompt.start == "box":
        words.append(
            "draw a box around each object" if each else f"draw one box {'around' if classes > 1 else 'in'} {where}"
        )
    if prompt.mask:
        words.append(
            "draw the mask of each object" if each else f"draw one mask {'of' if classes > 1 else 'in'} {where}"
        )
    if number := prompt.points or prompt.clicks:
        times = "up to " * (prompt.clicks is not None) + ("once" if number == 1 else f"{number} times")
        on = "on each object" if each else f"on {where}" if classes > 1 else f"in {where}"
        words.append(f"click {times} {on}" + " where the mask is wrong" * (prompt.clicks is not None))
    if prompt.automatic:
        words.append("automatic masks")
    text = " and ".join(words) or "no prompt"
    text += ", loosely" if prompt.first.jitter or prompt.first.offset else ""
    return text + (", all clicks in one prompt" if prompt.together else "")


def cost(study: Study, run: str, number: float | None, unit: str) -> str:
    """Say what a run costs: `16.2 clicks an image`; empty where nobody prompts or the number is not known.

    Args:
        study: params.yaml.
        run: its name.
        number: `prompts_per_image` in its summary; of a cascade, in that of the run that it refines.
        unit: `image` or `tile`.
    """
    found = study.run(run)
    if isinstance(found, Cascade):
        return cost(study, found.source, number, unit)
    if number is None or not found.prompt.oracle:
        return ""
    clicks = ("click", "clicks")
    boxes = ("box", "boxes")
    nouns = {"points": clicks, "clicks": clicks, "box": boxes, "exemplars": boxes, "mask": ("mask", "masks")}
    kind = "box + points" if found.prompt.start == "box" else found.prompt.kind.removeprefix("text + ")
    one, many = nouns.get(kind, ("prompt", "prompts"))
    text = f"{number:.1f}".removesuffix(".0")
    return f"{text} {one if text == '1' else many} {'an' if unit == 'image' else 'a'} {unit}"
