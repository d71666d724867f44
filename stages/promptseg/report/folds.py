"""Means over folds: runs that differ in nothing but the fold of their dataset."""

from promptseg.core.study import Study

FOLD = "fold"  # the option of a reader


def fold_means(study: Study, rows: list[dict]) -> list[dict]:
    """Average the headline of runs over the folds of a dataset, where there is a run on each of several folds.

    Args:
        study: params.yaml.
        rows: of `leaderboard.leaderboard`.

    Returns:
        Rows with `datasets`, `runs`, model, prompt, training and `headline`, the mean.
    """
    folds: dict[str, list[str]] = {}
    for name, entry in study.datasets.items():
        if FOLD in entry.options:
            others = {key: value for key, value in entry.options.items() if key != FOLD}
            folds.setdefault(entry.model_copy(update={"options": others}).model_dump_json(), []).append(name)
    means = []
    for datasets in folds.values():
        groups: dict[tuple, list[dict]] = {}
        for row in rows:
            if row["dataset"] in datasets:
                groups.setdefault(tuple(row[key] for key in ("model", "prompt", "training")), []).append(row)
        for (model, prompt, training), group in groups.items():
            if len(datasets) > 1 and [row["dataset"] for row in group] == datasets:
                means.append({
                    "datasets": datasets, "runs": [row["run"] for row in group], "model": model, "prompt": prompt,
                    "training": training, "headline": sum(row["headline"] for row in group) / len(group),
                })  # fmt: skip
    return means
