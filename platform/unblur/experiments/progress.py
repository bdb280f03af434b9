"""The live table of trials: a rich table in a terminal, one line per event elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from unblur.training.record import State, TrialRecord
from unblur.training.report import Progress as Report

STYLES = {State.RUNNING: "bold", State.COMPLETE: "green", State.PRUNED: "dim", State.FAIL: "red"}
VISIBLE = 15
"""Rows in the table: the newest trials."""


@dataclass
class _Row:
    params: dict[str, Any]
    state: State = State.RUNNING
    epoch: int = 0
    value: float | None = None
    best: float | None = None
    reason: str = ""

    def saw(self, epoch: int, value: float | None, best: float | None = None) -> None:
        if value is not None:
            self.epoch, self.value = epoch, value
            self.best = value if self.best is None else max(self.best, value)
        if best is not None:
            self.best = best


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace(" ", "")


def _params(params: dict[str, Any], names: Sequence[str]) -> str:
    return " ".join(f"{name}={_short(params[name])}" for name in names if name in params)


class Progress:
    """A listener that shows `total` trials by `metric`, which people know as `label`; a context while it shows.

    `records` are the trials that were there before this start.
    """

    def __init__(
        self,
        console: Console,
        total: int,
        label: str,
        metric: str,
        records: Sequence[TrialRecord] = (),
        kind: Literal["trial", "retrain"] = "trial",
    ) -> None:
        self.console, self.total, self.label, self.metric, self.kind = console, total, label, metric, kind
        self._rows: dict[int, _Row] = {}
        for record in records:
            row = self._rows[record.number] = _Row(record.params, record.state, reason=_first_line(record.reason))
            for epoch, value in record.values.items():
                row.saw(epoch, value)
            row.saw(row.epoch, None, record.value)
        terminal = console.is_terminal
        self._live = Live(get_renderable=self.table, console=console, refresh_per_second=2) if terminal else None

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
        again = f" again, having been at epoch {row.epoch}" if row.epoch else ""
        self._line(f"{self.kind} {number}: started{again}  {_params(params, list(params))}")

    def progressed(self, number: int, progress: Report) -> None:
        row, value = self._rows[number], progress.metrics.get(self.metric)
        row.saw(progress.epoch, value, progress.best)
        seen = f"epoch {progress.epoch}  {self.label} {_number(value)}" if value is not None else "on all users"
        self._line(f"{self.kind} {number}: {seen}  best {_number(row.best)}")

    def ended(self, number: int, state: State, reason: str | None) -> None:
        row = self._rows[number]
        row.state, row.reason = state, _first_line(reason)
        self._line(f"{self.kind} {number}: {state}  {row.reason or f'best {_number(row.best)}'}")

    def _line(self, text: str) -> None:
        if self._live is None:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def table(self) -> Table:
        """The newest trials with the parameters in which they differ; the best of all below."""
        rows = dict(self._rows)  # drawn in a thread of its own
        states = [row.state for row in rows.values()]
        counts = ", ".join(f"{states.count(state)} {state}" for state in STYLES if state in states)
        table = Table(title=f"{counts or 'none'} of {self.total}", caption=self._best(rows), title_justify="left")
        for name in (self.kind, "state", "epoch", self.label, "best"):
            table.add_column(name, justify="left" if name == "state" else "right", no_wrap=True)
        table.add_column("parameters", no_wrap=True, overflow="ellipsis")
        names = _differing([row.params for row in rows.values()])
        for number, row in sorted(rows.items())[-VISIBLE:]:
            text = Text(row.reason or _params(row.params, names))
            cells = (str(number), row.state, str(row.epoch or ""), _number(row.value), _number(row.best))
            table.add_row(*cells, text, style=STYLES[row.state])
        return table

    def _best(self, rows: dict[int, _Row]) -> str:
        done = {n: row.best for n, row in rows.items() if row.state == State.COMPLETE and row.best is not None}
        number = max(done, key=lambda n: (done[n], -n), default=None)
        return "" if number is None else f"best: {self.kind} {number}, {self.label} {_number(done[number])}"


def _first_line(reason: str | None) -> str:
    return (reason or "").partition("\n")[0]


def _differing(configurations: Sequence[dict[str, Any]]) -> list[str]:
    """The parameters worth a place in a narrow table, in their own order."""
    names = list(dict.fromkeys(name for params in configurations for name in params))
    if len(configurations) < 2:
        return names
    return [name for name in names if len({str(params.get(name)) for params in configurations}) > 1]
