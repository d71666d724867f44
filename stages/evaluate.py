"""Score one run: predictions against truth, picture by picture."""

from pathlib import Path

from promptseg.core import stage


def main(truth: Path, predictions: Path, metrics: Path, table: Path, thresholds: Path, pictures: Path):
    from promptseg.core import params
    from promptseg.evaluation import evaluate

    evaluate.evaluate(truth, predictions, params.load().seed, metrics, table, thresholds, pictures)


if __name__ == "__main__":
    stage.run(main)
