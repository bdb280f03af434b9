"""Run a study of search_spaces/ablations: train its grid over seeds, sweep what needs no training, draw the curves."""

from pathlib import Path

from unblur import cli
from unblur.experiments.experiment_options import AblateOptions


def main(options: AblateOptions) -> None:
    # late: help and usage errors need not wait for Ray, torch and Plotly
    from unblur.experiments.ablate import ablate
    from unblur.reporting.ablation import write

    console, page = cli.console(), options.output or Path(f"{Path(options.study).stem}.html")
    ablate(options, lambda study, results: write(study, results, page), console)
    if not options.dry_run:
        console.print(
            f"wrote {page}, with the tables as {page.with_suffix('.md')} and {page.with_suffix('.csv')}", markup=False
        )


if __name__ == "__main__":
    cli.run(main, AblateOptions)
