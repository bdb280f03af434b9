"""Train rows of the papers' tables over several seeds and write ours beside the papers', as Markdown and CSV."""

from unblur import cli
from unblur.experiments.experiment_options import ReproduceOptions


def main(options: ReproduceOptions) -> None:
    # late: help and usage errors need not wait for Ray, torch and MLflow
    from unblur.experiments.reproduce import reproduce
    from unblur.reporting.paper_rows import complain, shown, write

    console = cli.console()
    rows = reproduce(options, lambda rows: write(rows, options.output), console)
    if not options.dry_run:
        console.print(shown(rows), soft_wrap=False)
        console.print(f"wrote {options.output} and {options.output.with_suffix('.csv')}", markup=False)
        complain(rows, options.output)


if __name__ == "__main__":
    cli.run(main, ReproduceOptions)
