"""Put all runs side by side: a table, a chart, and one page with all there is to see."""

from pathlib import Path

from promptseg.base import stage


def main(metrics: Path, training: Path, thresholds: Path, pictures: Path, leaderboard: Path, chart: Path, page: Path):
    from promptseg.base import params
    from promptseg.reporting import report

    settings = params.load()
    rows = report.leaderboard(settings, metrics)
    report.write_leaderboard(rows, leaderboard)
    report.write_chart(rows, chart)
    report.write_html(
        page,
        settings,
        rows,
        chart=chart,
        training=training,
        thresholds=thresholds,
        pictures=pictures,
        datasets=metrics / "data",
    )


if __name__ == "__main__":
    stage.run(main)
