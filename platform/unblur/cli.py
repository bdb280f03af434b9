"""The `unblur` command: a subcommand for each thing to do, flags in, exit status out."""

import contextlib
import inspect
import io
import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro
from rich.console import Console

from unblur import __version__, commands, environment, help
from unblur.errors import RunFailed, UserError, unknown
from unblur.options import Options as BaseOptions
from unblur.redaction import Formatter, redact, remember, remember_environment
from unblur.signals import INTERRUPTED, STATUS, ended_in_time, ignore_ctrl_c
from unblur.streams import make_lasting

Options = TypeVar("Options")

FLAGS = (
    tyro.conf.OmitArgPrefixes,
    tyro.conf.OmitSubcommandPrefixes,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.UseAppendAction,
)
"""`--min-rating`, not `--data.min-rating`; `--strict` without `--no-strict`; `--set a=1 --set b=2`."""


log = logging.getLogger("unblur")


class StepsHandler(logging.Handler):
    """What is being done, as lines on standard output, whatever that is at the time: a live table takes its place."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.WARNING

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), flush=True)


def main(command: str | None = None) -> None:
    """Run the subcommand that the command line names, or `command`, whose flags are the whole command line then."""
    make_lasting()
    if command:
        _run(command, None, None)
        return
    name, *words = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(_overview())
    elif name == "--version":
        print(f"unblur {__version__}")
    elif name in commands.ALL:
        _run(name, words, f"unblur {name}")
    else:
        _complain(f"error: {unknown('command', name, commands.ALL)}", 2)


class RedactingConsole(Console):
    """A console that prints no credentials, whoever hands it a text that holds some."""

    def print(self, *objects: Any, **settings: Any) -> None:
        super().print(*(redact(each) if isinstance(each, str) else each for each in objects), **settings)


def console(stderr: bool = False) -> Console:
    """Where jobs tell what they do: standard output, nothing cut or coloured into a log file."""
    return RedactingConsole(soft_wrap=True, highlight=False, stderr=stderr)


def run(
    main: Callable[[Options], None],
    options: type[Options],
    words: Sequence[str] | None = None,
    program: str | None = None,
    description: str | None = None,
) -> None:
    """Read `options` from `words` (the command line, if None), call `main` and exit.

    0; 1 when the run failed; 2 for a user's mistake, found before anything began; 130 when interrupted.
    """
    _know_secrets()
    try:
        with environment.restored(), ended_in_time(), _steps_shown():
            given = _flags(options, words, program, description)
            log.info("loading PyTorch, Ray and MLflow")
            main(given)
    except UserError as error:
        _complain(f"error: {error}", 2)
    except RunFailed as error:
        _complain(f"failed: {error}", 1)
    except KeyboardInterrupt:
        ignore_ctrl_c()
        _complain(INTERRUPTED, STATUS)
    except Exception:  # a fault of ours: its traceback is wanted, and may quote an address
        _complain(traceback.format_exc().rstrip(), 1)


def _flags(options: type[Options], args: Sequence[str] | None, prog: str | None, description: str | None) -> Options:
    """The options as typed; a usage error is told, without the credentials in what was typed, and exits with 2."""
    words = sys.argv[1:] if args is None else args
    if help.ASKED.intersection(words) and issubclass(options, BaseOptions):
        Console(highlight=False).print(help.page(options, prog or Path(sys.argv[0]).name, description or ""))
        sys.exit(0)
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            asked: Options = tyro.cli(options, config=FLAGS, args=words, prog=prog, description=description)
            return asked
    finally:
        sys.stderr.write(redact(told.getvalue()))


def _know_secrets() -> None:
    remember(sys.argv)
    remember_environment()
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)  # what is below has gone to standard output
    handler.setFormatter(Formatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


@contextlib.contextmanager
def _steps_shown() -> Iterator[None]:
    """Tell what is being done as long as a command runs; a program that calls it prints nothing afterwards."""
    steps, before = StepsHandler(), log.level
    steps.setFormatter(Formatter("%(message)s"))
    log.addHandler(steps)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(steps)
        log.setLevel(before)


def _run(name: str, words: Sequence[str] | None, program: str | None) -> None:
    command = commands.ALL[name]
    options: type[Any] = inspect.signature(command).parameters["options"].annotation
    run(lambda given: command(given, console()), options, words, program, inspect.getdoc(command))


def _overview() -> str:
    lines = [f"  {name:10} {(inspect.getdoc(each) or '').splitlines()[0]}" for name, each in commands.ALL.items()]
    return "\n".join(
        [
            "usage: unblur COMMAND [FLAGS]",
            "",
            *lines,
            "",
            "unblur COMMAND --help tells the flags of one; unblur --version tells the version.",
        ]
    )


def _complain(message: str, status: int) -> None:
    console(stderr=True).print(message, style="red", markup=False)
    sys.exit(status)
