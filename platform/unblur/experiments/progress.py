"""Live table of trials in a terminal, one line per event in a log: state, epoch, value, best, time left."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from unblur.formatting import about
from unblur.running.retries import TOLD, Fault
from unblur.running.work import Listener
from unblur.tracking.names import SEED, final_tags
from unblur.training.record import ENDED, State, TrialRecord
from unblur.training.report import Progress as Report

STYLES = {State.RUNNING: "bold", State.COMPLETE: "green", State.PRUNED: "dim", State.FAIL: "red"}
VISIBLE = 15
"""Rows in the table: the newest trials."""
PARAMETERS_WIDTH = 12
"""Below so many free columns the table has none for the parameters; those of the best are told below it."""
GAP = 3
"""Columns between two of the table: a space on either side of the box's own."""
LOG_SECONDS = 60.0
"""In a log, the evaluations of one trial after its first are told no more often."""


@dataclass
class _Row:
    params: dict[str, Any]
    state: State = State.RUNNING
    epoch: int = 0
    value: float | None = None
    best: float | None = None
    reason: str = ""
    begun: float | None = None
    """When it began in this process, as `ended`."""
    ended: float | None = None
    first_epoch: int = 0
    """Where it was then."""

    def saw(self, epoch: int, value: float | None, best: float | None = None) -> None:
        self.epoch = max(self.epoch, epoch)
        if value is not None:
            self.value = value
            self.best = value if self.best is None else max(self.best, value)
        if best is not None:
            self.best = best


@dataclass
class Timing:
    """How long the rest takes: by the trials that ended in this process, pruned ones included, else by epochs."""

    epochs: int | None
    clock: Callable[[], float] = time.monotonic
    start: float = field(init=False)
    slots: int = 1
    """The most that ran at a time."""

    def __post_init__(self) -> None:
        self.start = self.clock()

    def elapsed(self) -> float:
        return self.clock() - self.start

    def left(self, rows: Sequence[_Row], total: int) -> tuple[float, bool] | None:
        """Seconds, and whether it is less if trials are pruned or stop early; None as long as nothing is known."""
        took = [row.ended - row.begun for row in rows if row.begun is not None and row.ended is not None]
        running = [row for row in rows if row.state == State.RUNNING and row.begun is not None]
        self.slots = max(self.slots, len(running))
        each = sum(took) / len(took) if took else self._by_epochs(running)
        if each is None:
            return None
        waiting = total - sum(row.state in ENDED for row in rows) - len(running)
        rest = max(waiting, 0) * each + sum(max(each - self._age(row), 0.0) for row in running)
        return rest / self.slots, not took

    def _by_epochs(self, running: Sequence[_Row]) -> float | None:
        rates = [self._age(row) / done for row in running if (done := row.epoch - row.first_epoch) > 0]
        return sum(rates) / len(rates) * self.epochs if rates and self.epochs else None

    def _age(self, row: _Row) -> float:
        return self.clock() - (row.begun or 0.0)


class Progress(Listener):
    """A listener that shows `total` trials by `metric`, which people know as `label`; a context while it shows.

    `records` are the trials that were there before this start. `epochs`: of each trial at most. `title`: of what, such
    as `diffrec, model 2 of 4`.
    """

    def __init__(
        self,
        console: Console,
        total: int,
        label: str,
        metric: str,
        records: Sequence[TrialRecord] = (),
        kind: Literal["trial", "final", "cell", "refit"] = "trial",
        *,
        epochs: int | None = None,
        title: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console, self.total, self.label, self.metric, self.kind = console, total, label, metric, kind
        self.word = "seed" if kind == "final" else kind
        self.epochs, self.title, self.timing = epochs, title, Timing(epochs, clock)
        self._rows: dict[int, _Row] = {}
        self._again = 0
        """How many were begun again in this process."""
        self._told: dict[int, float] = {}
        """When each trial's evaluation was told last in a log."""
        for record in records:
            row = self._rows[record.number] = _Row(record.params, record.state, reason=_first_line(record.reason))
            for epoch, value in record.values.items():
                row.saw(epoch, value)
            row.saw(row.epoch, None, record.value)
        terminal = console.is_terminal
        self._live = Live(get_renderable=lambda: self, console=console, refresh_per_second=2) if terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def started(self, number: int, params: dict[str, Any]) -> None:
        row = self._rows.setdefault(number, _Row(params))
        row.state, row.reason = State.RUNNING, ""
        row.begun, row.ended, row.first_epoch = self.timing.clock(), None, row.epoch
        again = f" again, having been at epoch {row.epoch}" if row.epoch else ""
        self._line(f"{self._called(number)}: started{again}  {_params(params, list(params))}")

    def progressed(self, number: int, progress: Report) -> None:
        row, value = self._rows[number], progress.metrics.get(self.metric)
        row.saw(progress.epoch, value, progress.best)
        now = self.timing.clock()
        if now - self._told.get(number, -LOG_SECONDS) < LOG_SECONDS:
            return
        self._told[number] = now
        self._line(f"{self._called(number)}: {self._seen(row, value, progress.best)}")

    def _seen(self, row: _Row, value: float | None, best: float | None) -> str:
        """An evaluation; the last of all, of everyone; or, where nothing is evaluated, how far it is."""
        if value is not None:
            return f"epoch {self._epoch(row)}  {self.label} {_number(value)}  best {_number(row.best)}"
        return f"epoch {self._epoch(row)}" if best is None else f"on all users  best {_number(row.best)}"

    def again(self, number: int, fault: Fault) -> None:
        self._again += 1
        self._line(f"{self._called(number)}: begun again, {TOLD[fault]}")

    def ended(self, number: int, state: State, reason: str | None) -> None:
        row = self._rows[number]
        row.state, row.reason, row.ended = state, _first_line(reason), self.timing.clock()
        told = row.reason or ("" if row.best is None else f"best {_number(row.best)}")
        done = sum(each.state in ENDED for each in self._rows.values())
        self._line(f"{self._called(number)}: {state}  {told}  ({done} of {self.total}, {self._times()})")

    def _called(self, number: int) -> str:
        """What people call it: `trial 7`, `seed 0`."""
        return f"{self.word} {self._told_number(number)}"

    def _told_number(self, number: int) -> int:
        """Of a final run, which of the seeds it has: its number says whose configuration, too."""
        return final_tags(number)[SEED] if self.kind == "final" else number

    def _line(self, text: str) -> None:
        if self._live is None:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What is done and how long it takes; the newest trials; the best of all with its parameters."""
        rows = dict(self._rows)  # drawn in a thread of its own
        yield Group(_wrapped(self._heading(rows)), self._table(rows, options.max_width), _wrapped(self._best(rows)))

    def _heading(self, rows: dict[int, _Row]) -> str:
        states = [row.state for row in rows.values()]
        counts = ", ".join(f"{states.count(state)} {state}" for state in STYLES if state in states)
        title = f"{self.title}: " if self.title else ""
        again = f" ({self._again} begun again)" if self._again else ""
        return f"{title}{counts or 'none'} of {self.total}{again}; {self._times()}"

    def _times(self) -> str:
        found = self.timing.left(list(self._rows.values()), self.total)
        left = "" if found is None else f", {'at most' if found[1] else 'about'} {about(found[0])} left"
        return f"{about(self.timing.elapsed())} elapsed{left}"

    def _table(self, rows: dict[int, _Row], width: int) -> Table:
        """The first five columns have their whole width; the parameters in which trials differ get what is left."""
        newest = sorted(rows.items())[-VISIBLE:]
        headings = (self.word, "state", "epoch", self.label, "best")
        cells = [self._cells(number, row) for number, row in newest]
        widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
        for name, needs in zip(headings, widths, strict=True):
            justify: Literal["left", "right"] = "left" if name == "state" else "right"
            table.add_column(name, justify=justify, no_wrap=True, min_width=needs)
        left = width - sum(widths) - GAP * len(widths)
        if left < PARAMETERS_WIDTH:
            for (_, row), each in zip(newest, cells, strict=True):
                table.add_row(*each, style=STYLES[row.state])
            return table
        table.add_column("parameters", no_wrap=True, overflow="ellipsis", max_width=left)
        names = _differing([row.params for row in rows.values()])
        for (_, row), each in zip(newest, cells, strict=True):
            table.add_row(*each, Text(row.reason or _params(row.params, names)), style=STYLES[row.state])
        return table

    def _cells(self, number: int, row: _Row) -> tuple[str, str, str, str, str]:
        return str(self._told_number(number)), str(row.state), self._epoch(row), _number(row.value), _number(row.best)

    def _epoch(self, row: _Row) -> str:
        return f"{row.epoch}/{self.epochs}" if self.epochs else str(row.epoch)

    def _best(self, rows: dict[int, _Row]) -> str:
        """A failed trial's reason can be long and the best one's parameters many: those are wrapped below the table."""
        done = {n: row.best for n, row in rows.items() if row.state == State.COMPLETE and row.best is not None}
        number = max(done, key=lambda n: (done[n], -n), default=None)
        if number is None:
            return ""
        params = rows[number].params
        return f"best: {self._called(number)}, {self.label} {_number(done[number])}  {_params(params, list(params))}"


def _wrapped(text: str) -> Text:
    """Text of which a narrow terminal has more lines: the command line's console wraps nothing, and a live display
    would cut it."""
    return Text(text, no_wrap=False, overflow="fold")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace(" ", "")


def _params(params: dict[str, Any], names: Sequence[str]) -> str:
    return " ".join(f"{name}={_short(params[name])}" for name in names if name in params)


def _first_line(reason: str | None) -> str:
    return (reason or "").partition("\n")[0]


def _differing(configurations: Sequence[dict[str, Any]]) -> list[str]:
    """The parameters with a claim to a narrow table, in their own order."""
    names = list(dict.fromkeys(name for params in configurations for name in params))
    if len(configurations) < 2:
        return names
    return [name for name in names if len({str(params.get(name)) for params in configurations}) > 1]
