"""Put all runs side by side: a table, a chart, and one page with all there is to see."""

from pathlib import Path

from promptseg.core import stage


def main(metrics: Path, training: Path, thresholds: Path, pictures: Path, leaderboard: Path, chart: Path, page: Path):
    from promptseg.core import params
    from promptseg.report import leaderboard

    settings = params.load()
    rows = leaderboard.leaderboard(settings, metrics)
    leaderboard.write_leaderboard(rows, leaderboard)
    leaderboard.write_chart(rows, chart)
    leaderboard.write_html(
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
