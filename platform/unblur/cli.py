"""What all jobs share: flags in, exit status out."""

import signal
import sys
from collections.abc import Callable
from typing import TypeVar

import tyro
from rich.console import Console

from unblur.errors import RunFailed, UserError

Options = TypeVar("Options")

FLAGS = (
    tyro.conf.OmitArgPrefixes,
    tyro.conf.OmitSubcommandPrefixes,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.UseAppendAction,
)
"""`--min-rating`, not `--data.min-rating`; `--strict` without `--no-strict`; `--set a=1 --set b=2`."""


def console() -> Console:
    """Where jobs tell what they do: standard output, nothing cut or coloured into a log file."""
    return Console(soft_wrap=True, highlight=False)


def run(main: Callable[[Options], None], options: type[Options], description: str | None = None) -> None:
    """Reads `options` from the command line, calls `main` and exits.

    0; 1 when the run failed; 2 for a user's mistake, found before anything began; 130 when interrupted.
    """
    try:
        main(tyro.cli(options, description=description, config=FLAGS))  # exits with 2 on usage errors
    except UserError as error:
        _complain(f"error: {error}", 2)
    except RunFailed as error:
        _complain(f"failed: {error}", 1)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more would cut off only what Python does at its end
        _complain("interrupted: the same command goes on from here", 130)


def _complain(message: str, status: int) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(message, style="red", markup=False)
    sys.exit(status)
