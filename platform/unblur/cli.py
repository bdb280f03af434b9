"""What all jobs share: flags in, exit status out."""

import contextlib
import io
import logging
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import tyro
from rich.console import Console

from unblur.errors import RunFailed, UserError
from unblur.redaction import Formatter, redact, remember, remember_environment

Options = TypeVar("Options")

FLAGS = (
    tyro.conf.OmitArgPrefixes,
    tyro.conf.OmitSubcommandPrefixes,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.UseAppendAction,
)
"""`--min-rating`, not `--data.min-rating`; `--strict` without `--no-strict`; `--set a=1 --set b=2`."""


class RedactingConsole(Console):
    """A console that prints no credentials, whoever hands it a text that holds some."""

    def print(self, *objects: Any, **settings: Any) -> None:
        super().print(*(redact(each) if isinstance(each, str) else each for each in objects), **settings)


def console(stderr: bool = False) -> Console:
    """Where jobs tell what they do: standard output, nothing cut or coloured into a log file."""
    return RedactingConsole(soft_wrap=True, highlight=False, stderr=stderr)


def run(main: Callable[[Options], None], options: type[Options]) -> None:
    """Reads `options` from the command line, calls `main` and exits.

    0; 1 when the run failed; 2 for a user's mistake, found before anything began; 130 when interrupted.
    """
    _know_secrets()
    try:
        main(_flags(options))
    except UserError as error:
        _complain(f"error: {error}", 2)
    except RunFailed as error:
        _complain(f"failed: {error}", 1)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more would cut off only what Python does at its end
        _complain("interrupted: the same command goes on from here", 130)
    except Exception:  # a fault of ours: its traceback is wanted, and may quote an address
        _complain(traceback.format_exc().rstrip(), 1)


def _flags(options: type[Options]) -> Options:
    """The options as typed; a usage error is told, without the credentials in what was typed, and exits with 2."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            return tyro.cli(options, config=FLAGS)
    finally:
        sys.stderr.write(redact(told.getvalue()))


def _know_secrets() -> None:
    remember(sys.argv)
    remember_environment()
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _complain(message: str, status: int) -> None:
    console(stderr=True).print(message, style="red", markup=False)
    sys.exit(status)
