"""What all jobs share: flags in, exit status out."""

import sys
from collections.abc import Callable
from typing import TypeVar

import tyro
from rich.console import Console

from unblur.errors import UserError

Options = TypeVar("Options")

FLAGS = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)
"""`--min-rating`, not `--data.min-rating`; `--strict` without `--no-strict`."""


def run(main: Callable[[Options], None], options: type[Options], description: str | None = None) -> None:
    """Reads `options` from the command line, calls `main` and exits: 0, 2 for a user's mistake, 130 interrupted."""
    try:
        main(tyro.cli(options, description=description, config=FLAGS))  # exits with 2 on usage errors
    except UserError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {error}", style="red", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
