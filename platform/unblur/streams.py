"""Standard streams that never end a run: what a terminal cannot show is replaced, who no longer reads is not missed."""

import codecs
import io
import os
import sys
from pathlib import Path
from typing import TextIO

WRITTEN = {"±": "+-", "×": "x", "…": "...", "–": "-", "—": "-", "’": "'", "│": "|", "─": "-", "━": "-"}
"""What is written where an encoding has no such character; for any other a question mark."""


def legible(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler: the nearest that everybody can read."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(WRITTEN.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


codecs.register_error("unblur-legible", legible)


class Lasting(io.TextIOWrapper):
    """A stream of this process whose end is no error: a closed pipe, a full disk, a terminal that is gone."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError:
            self._into_nothing()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            self._into_nothing()

    def _into_nothing(self) -> None:
        """Let the file descriptor be that of nothing: also what is still buffered, at the end of the process."""
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self.fileno())
        os.close(nothing)


def make_lasting() -> None:
    """Make standard output and error last, for a program; what is no stream of the process stays as it is."""
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)


def _lasting(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed before we began: `>&-`
        return Path(os.devnull).open("w", encoding="utf-8")
    if type(stream) is not io.TextIOWrapper:
        return stream
    stream.reconfigure(errors="unblur-legible")  # for whoever has it already
    return Lasting(stream.buffer, stream.encoding, "unblur-legible", line_buffering=stream.line_buffering)
