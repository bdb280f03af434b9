"""Write the report of a dataset: leaderboard, verdict and figures from MLflow, in one HTML file."""

from unblur import cli
from unblur.reporting.options import ReportOptions


def main(options: ReportOptions) -> None:
    from unblur.reporting.report import run  # late: help need not wait for MLflow, Optuna and Plotly

    run(options, cli.console())


if __name__ == "__main__":
    cli.run(main, ReportOptions)
