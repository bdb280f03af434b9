"""Measure training, evaluation, search and memory on this machine, beside a plain implementation and a peer."""

from unblur import cli
from unblur.benchmarking.options import BenchmarkOptions


def main(options: BenchmarkOptions) -> None:
    from unblur.benchmarking.job import run  # late: help need not wait for Ray, torch and MLflow

    run(options, cli.console())


if __name__ == "__main__":
    cli.run(main, BenchmarkOptions)
