"""Train one configuration without a search, test it once per seed, register it."""

from unblur import cli
from unblur.experiments.options import TrainOptions


def main(options: TrainOptions) -> None:
    from unblur.experiments.tune import train  # late: help and usage errors need not wait for Ray, torch and MLflow

    train(options, cli.console())


if __name__ == "__main__":
    cli.run(main, TrainOptions)
