"""Compare all runs: the leaderboard as a table and a chart, the verdicts, and a page with all figures."""

from pathlib import Path

from promptseg.core import stage


def main(params: Path, prepared: Path, predictions: Path, scores: Path, summaries: Path, plots: Path, leaderboard: Path,
    chart: Path, datasets: Path, gains: Path, page: Path, verdicts: Path,
):  # fmt: skip
    from promptseg.core import study
    from promptseg.report import charts, searches, tables, verdict, verdict_facts
    from promptseg.report import gains as pairs
    from promptseg.report import leaderboard as table
    from promptseg.report import page as html

    settings = searches.with_winners(study.load(params), scores)
    rows = table.leaderboard(settings, scores)
    table.write_leaderboard(rows, leaderboard)
    charts.write_bar_chart(rows, chart)
    tables.write_rows(datasets, *tables.dataset_table(list(settings.datasets), summaries))
    compared = pairs.gains(settings, rows, scores)
    pairs.write_gains(compared, gains)
    facts = verdict_facts.collect(settings, rows, scores, summaries)
    verdict.write_metrics(facts, verdicts)
    folders = html.Folders(prepared, predictions, scores)
    html.write_page(page, settings, rows, html.Sources(plots, summaries, compared, folders), verdict.verdicts(facts))


if __name__ == "__main__":
    stage.run(main)
