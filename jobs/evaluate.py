"""Test a registered model or a saved one on a dataset's test set."""

from unblur import cli
from unblur.experiments.options import EvaluateOptions


def main(options: EvaluateOptions) -> None:
    from unblur.experiments.evaluate import evaluate  # late: help need not wait for torch and MLflow

    evaluate(options, cli.console())


if __name__ == "__main__":
    cli.run(main, EvaluateOptions)
