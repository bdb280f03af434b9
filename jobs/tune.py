"""Search a recommender's hyperparameters, retrain the best with several seeds, test it once, register it."""

from unblur import cli
from unblur.tuning.options import SearchOptions


def main(options: SearchOptions) -> None:
    # late: help and usage errors need not wait for Ray, torch and MLflow
    from unblur.tuning.check import check
    from unblur.tuning.job import search

    (check if options.check else search)(options, cli.console())


if __name__ == "__main__":
    cli.run(main, SearchOptions)
