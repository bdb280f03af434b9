"""Search a recommender's hyperparameters, retrain the best with several seeds, test it once, register it."""

from unblur import cli
from unblur.experiments.options import SearchOptions


def main(options: SearchOptions) -> None:
    # late: help and usage errors need not wait for Ray, torch and MLflow
    from unblur.experiments.check import check
    from unblur.experiments.tune import search

    (check if options.check else search)(options, cli.console())


if __name__ == "__main__":
    cli.run(main, SearchOptions)
