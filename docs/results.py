"""Write the numbers of the metrics into README.md and docs/, or check that they are current.

    python docs/results.py            rewrites every block between `<!-- numbers: NAME -->` and `<!-- end -->`
    python docs/results.py --check    exit code 1 where a page has other numbers

BLOCKS names the blocks. The default study's numbers come from plots/ and metrics/, those of real images from
docs/real-images/. A sentence that the numbers no longer support is an error (`claim`).
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import yaml
from promptseg.report.floors import TRIVIAL

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
REAL = ROOT / "docs" / "real-images"  # params.yaml, and what plots/ then has
MARKED = re.compile(r"(<!-- numbers: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SHORT = (  # runs on real images that the README shows
    "em-point", "em-points", "em-points-together", "em-boxes", "em-filled-boxes", "em-decoder-points", "covid-point",
    "covid-boxes", "covid-filled-boxes", "lungs-boxes", "lungs-filled-boxes", "fires-point", "fires-boxes",
    "fires-filled-boxes",
)  # fmt: skip
SHOWN = "metrics/em-*-20.json"  # what docs/dvc.md prints with `dvc metrics show`
PRETRAINED = {  # by key of stages/pretrain/metrics/tiny.json: model, prompt, metric
    "sam_box_iou": ("sam", "box", "mean IoU"),
    "sam_point_iou": ("sam", "one point, best of three by predicted IoU", "mean IoU"),
    "sam_point_iou_correlation": ("sam", "one point", "correlation of predicted and measured IoU"),
    "sam2_box_iou": ("sam2", "box", "mean IoU"),
    "sam2_point_iou": ("sam2", "one point, best of three by predicted IoU", "mean IoU"),
    "sam2_point_iou_correlation": ("sam2", "one point", "correlation of predicted and measured IoU"),
    "clipseg_text_iou": ("clipseg", "phrase of known words in a new combination", "mean IoU"),
    "clipseg_negative_foreground": ("clipseg", "phrase without a referent in the image", "mean share of foreground"),
    "clipseg_support_iou": ("clipseg", "support image", "mean IoU"),
    "medsam_iou_gain": ("medsam against sam", "box, faint images", "IoU"),
    "pa_sam_boundary_iou_gain": ("pa_sam against sam", "box, thin and ragged objects", "boundary IoU"),
}


class Runs:
    """A leaderboard, by the names of the runs.

    Args:
        folder: with leaderboard.csv and gains.csv, as the report writes them.
    """

    def __init__(self, folder: Path):
        self.table = pd.read_csv(folder / "leaderboard.csv", dtype=str, keep_default_na=False).set_index(
            "run", drop=False
        )
        self.gains = pd.read_csv(folder / "gains.csv")

    def score(self, run: str) -> float:
        """Headline metric of a run."""
        return float(self.table.loc[run, "headline"])

    def scores(self, *runs: str) -> str:
        """Headline metrics of runs in words: `0.529`, `0.350 and 0.529`, or `0.350, 0.529 and 0.614`."""
        words = [f"{self.score(run):.3f}" for run in runs]
        return " and ".join([", ".join(words[:-1])] * (len(words) > 1) + words[-1:])

    def above(self, higher: str, *lower: str) -> str:
        """State that one run scores more than others. Raises ValueError where it does not."""
        words = f"{self.score(higher):.3f} against {self.scores(*lower)}"
        return claim(self.score(higher) > max(map(self.score, lower)), words)

    def interval(self, run: str) -> str:
        """The 95 % interval as ` (0.300-0.488)`, or nothing where there are too few groups for one."""
        low, high = (self.table.loc[run, f"iou_ci_{end}"] for end in ("low", "high"))
        return f" ({float(low):.3f}-{float(high):.3f})" if low else ""


def claim(holds: bool, sentence: str) -> str:
    """Return the sentence. Raises ValueError where it does not hold."""
    if not holds:
        raise ValueError(f"no longer true: {sentence}")
    return sentence


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, ["---"] * len(header), *rows))


def number(text: str) -> str:
    """Three decimals, or nothing."""
    return f"{float(text):.3f}" if text else ""


def default_questions() -> str:
    """What the default study answers."""
    runs = Runs(ROOT / "plots")
    rows = [
        ["a point or a box?", point_or_box(runs)],
        ["is the mask better than the box itself?", above_filled_boxes(runs)],
        [
            "one point an image, one an instance, or all of these in one prompt?",
            f"one prompt an instance: EM SAM {runs.above('em-sam-points', 'em-sam-point', 'em-sam-points-together')}",
        ],
        [
            "which phrase?",
            'one that the network knows: on fires "bright orange blob" '
            + runs.above("fires-clipseg-orange", "fires-clipseg", "fires-clipseg-dark", "fires-whole")
            + ' for "fire", "dark spots" and the whole image',
        ],
        ["where does text fail?", failing_phrases(runs)],
        ["and where there is nothing to find?", false_alarms(runs)],
        ["is fine-tuning worth it?", worth(runs)],
        [
            "trained with points and tested with a box, as the study does on fires?",
            f"{runs.score('fires-sam-20'):.3f}, against {runs.score('fires-sam-box'):.3f} before; trained with boxes "
            f"{runs.score('fires-sam-box-20'):.3f}",
        ],
    ]
    return markdown(["question", "result, in IoU"], rows)


def point_or_box(runs: Runs) -> str:
    """Three datasets have both; at least two of them must show it."""
    pairs = {"EM, an instance each": ("em-sam-box", "em-sam-points"), "fires": ("fires-sam-box", "fires-sam-point"),
             "COVID": ("covid-sam-box", "covid-sam-point")}  # fmt: skip
    better = sum(runs.score(box) > runs.score(point) for box, point in pairs.values())
    words = [f"{name} {runs.score(box):.3f} against {runs.score(point):.3f}" for name, (box, point) in pairs.items()]
    return claim(better >= 2, f"a box on {better} of 3 datasets: {'; '.join(words)}")


def above_filled_boxes(runs: Runs) -> str:
    """How many runs with oracle boxes score less than the filled box."""
    oracle = runs.table["prompt_source"].str.startswith("ground truth")
    table = runs.table[oracle & runs.table["prompt"].str.contains("box")]
    table = table[table["below_floor"] != ""]
    below = int((table["below_floor"] == "True").sum())
    return f"in {len(table) - below} of {len(table)} runs that are prompted by oracle boxes; the others score less"


def failing_phrases(runs: Runs) -> str:
    """The phrases that are tried on EM."""
    run = "em-clipseg-best"
    ranking = pd.read_csv(ROOT / "plots" / "searches" / "em-phrases.csv")
    words = f"of {len(ranking)} phrases on EM the best on the validation split, {ranking['prompt'].iloc[0]}, has"
    score, whole = runs.score(run), runs.score("em-whole")
    return claim(score < whole, f"{words} {score:.3f}, and the whole image {whole:.3f}")


def false_alarms(runs: Runs) -> str:
    """Runs prompted by text, with one class, on images without it."""
    table = runs.table[(runs.table["prompt_source"] == "text") & (runs.table["metric"] == "iou_mean")]
    rates = table[table["false_alarm_rate"] != ""]["false_alarm_rate"].astype(float)
    words = f"in {rates.median():.0%} of the images without ground truth it marks something, in the median run"
    return f"{words} of {len(rates)} that are prompted by text"


def worth(runs: Runs) -> str:
    """Distinct trainings with the kind of prompt of the test, each against the same model and prompt before."""
    entries = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["finetune"]
    settings = [entries[after.split()[0]] for after in runs.gains["after"]]
    pairs = runs.gains[[set(each["prompt"]) == set(each["train"].get("prompt", {})) for each in settings]]
    low, high = pairs["gain_ci_low"], pairs["gain_ci_high"]
    gain, above, around, unknown = ((pairs["gain"] > 0).sum(), (low > 0).sum(), ((low <= 0) & (high >= 0)).sum(),
                                    low.isna().sum())  # fmt: skip
    return (
        f"{gain} of {len(pairs)} distinct trainings with the prompt of the test gain; the 95 % interval of the gain, "
        f"paired by image, is above 0 for {above}, holds 0 for {around}, and for {unknown} there are too few groups"
    )


def default_runs() -> str:
    """Runs for which the studies report a score, and the best run of each dataset that needs no oracle."""
    runs = Runs(ROOT / "plots")
    table = runs.table
    best = table[(table["oracle"] == "False") & ~table["model"].isin(TRIVIAL)]
    best = best.loc[best["headline"].astype(float).groupby(best["dataset"]).idxmax(), "run"]
    rows = []
    for run in table[(table["reported_iou"] != "") | table["run"].isin(best)].to_dict("records"):
        rows.append([
            run["run"], run["training"], run["prompt"] + " (oracle)" * (run["oracle"] == "True"),
            number(run["headline"]) + runs.interval(run["run"]), run["groups"], number(run["floor"]),
            number(run["iou_tuned"]), number(run["boundary_iou"]), number(run["reported_iou"]),
        ])  # fmt: skip
    header = ["run", "training", "prompt", "IoU (95 %)", "groups", "floor", "tuned threshold", "boundary IoU",
              "reported, full scale"]  # fmt: skip
    return markdown(header, rows)


def metrics_show() -> str:
    """What `dvc metrics show` prints for some runs, in a code block with the command."""
    files = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(SHOWN))
    words = [sys.executable, "-m", "dvc", "metrics", "show", *files]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [f"$ dvc metrics show {SHOWN}", *(line.rstrip() for line in done.stdout.strip().splitlines())]
    return "```console\n" + "\n".join(lines) + "\n```\n"


def real_images(chosen: tuple[str, ...] = ()) -> str:
    """The runs on real images. chosen: names; empty: all."""
    runs = Runs(REAL)
    rows = []
    for run in runs.table.to_dict("records"):
        if not chosen or run["run"] in chosen:
            rows.append([
                run["dataset"], run["model"], run["training"], run["prompt"],
                f"**{number(run['headline'])}**{runs.interval(run['run'])}", f"{run['images']} / {run['groups']}",
                number(run["floor"]), number(run["iou_pooled"]), number(run["boundary_iou"]),
            ])  # fmt: skip
    header = ["dataset", "model", "training", "prompt", "IoU (95 %)", "images / groups", "floor", "pooled",
              "boundary IoU"]  # fmt: skip
    return markdown(header, rows)


def real_questions() -> str:
    """What the runs on real images answer."""
    runs = Runs(REAL)
    pairs = runs.gains.to_dict("records")
    boxes = {name: (f"{name}-boxes", f"{name}-filled-boxes") for name in ("em", "covid", "lungs", "fires")}
    words = [f"{name} {runs.score(run):.3f} against {runs.score(floor):.3f}" for name, (run, floor) in boxes.items()]
    rows = [
        [
            "one point an image, one an instance, or all of these in one prompt?",
            f"one prompt an instance: EM {runs.above('em-points', 'em-point', 'em-points-together')}",
        ],
        ["one box, or one an instance?", f"one an instance: EM {runs.above('em-boxes', 'em-box')}, "
         f"COVID {runs.above('covid-boxes', 'covid-box')}, fires {runs.above('fires-boxes', 'fires-box')}"],
        ["is the mask better than the boxes themselves?", f"an instance each: {'; '.join(words)}"],
        ["is it worth it to train the mask decoder for 8 epochs?", "; ".join(_gain(pair) for pair in pairs)],
    ]  # fmt: skip
    return markdown(["question", "result, in IoU"], rows)


def _gain(pair: dict) -> str:
    """A gain in words."""
    ends = f"{pair['gain_ci_low']:+.3f} to {pair['gain_ci_high']:+.3f}"
    ends = f"too few groups for an interval: {pair['groups']}" if pd.isna(pair["gain_ci_low"]) else ends
    return f"EM, {pair['prompt']}: {pair['headline_before']:.3f} to {pair['headline_after']:.3f} ({ends})"


def pretraining() -> str:
    """What the tiny checkpoints reach on generated test images, and what was required of them."""
    folder = ROOT / "stages" / "pretrain"
    reached, bounds = json.loads((folder / "metrics" / "tiny.json").read_text()), {}
    for statement in ast.parse((folder / "checkpoint_scores.py").read_text("utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) in ("MINIMUM", "MAXIMUM"):
            words = "below " if ast.unparse(statement.targets[0]) == "MAXIMUM" else ""
            bounds |= {key: f"{words}{value}" for key, value in ast.literal_eval(statement.value).items()}
    rows = []
    for key, about in PRETRAINED.items():
        value = f"{reached[key]:.3f}"
        rows.append([*about, f"**{value}**" if reached["requirements_met"][key] else value, bounds[key]])
    return markdown(["model", "prompt", "metric", "reached", "required"], rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "default-questions": default_questions,
    "default-runs": default_runs,
    "metrics-show": metrics_show,
    "pretraining": pretraining,
    "real-images": real_images,
    "real-questions": real_questions,
    "real-images-short": lambda: real_images(SHORT),
}


def updated(page: str) -> str:
    """The text of a page with current numbers. Raises KeyError for a block that is not in BLOCKS."""
    return MARKED.sub(lambda found: f"{found[1]}\n{BLOCKS[found[2]]()}\n{found[4]}", page)


if __name__ == "__main__":
    for path in PAGES:
        text = path.read_text("utf-8")
        new = updated(text)
        if sys.argv[1:] == ["--check"]:
            if new != text:
                sys.exit(f"{path}: other numbers than the metrics; run python docs/results.py")
        else:
            path.write_text(new, "utf-8")
