"""Score the predictions of a run against the ground truth."""

from pathlib import Path

from promptseg.core import stage


def main(split: Path, predictions: Path, metrics: Path, scores: Path, plots: Path):
    from promptseg.evaluation import evaluate

    evaluate.evaluate(split, predictions, evaluate.Outputs(metrics, scores, plots))


if __name__ == "__main__":
    stage.run(main)
