"""A photograph of a command in a terminal: run for real in tmux, taken when a text is on the screen, kept as SVG.

    python docs/photograph.py COLUMNSxLINES FILE.svg TEXT COMMAND

TEXT is a regular expression. Needs tmux. What runs is ended afterwards.
"""

import io
import re
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

TMUX = ["tmux", "-L", "unblur-photograph", "-f", "/dev/null"]
SECONDS = 1800.0


def tmux(*words: str) -> str:
    return subprocess.run([*TMUX, *words], check=True, capture_output=True, text=True).stdout


def screen(size: str, text: str, command: str) -> str:
    """The screen with its colours, as soon as the text is on it."""
    columns, lines = size.split("x")
    tmux("new-session", "-d", "-x", columns, "-y", lines, "env", "PS1=$ ", "sh")
    try:
        tmux("send-keys", command, "Enter")
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if re.search(text, tmux("capture-pane", "-p"), re.MULTILINE):
                return tmux("capture-pane", "-p", "-e")
            time.sleep(0.2)
        raise SystemExit(f"{text!r} was not on the screen within {SECONDS:.0f} s")
    finally:
        tmux("send-keys", "C-c")
        time.sleep(15)  # for a clean stop
        tmux("kill-server")


def svg(taken: str, columns: int, title: str) -> str:
    """The picture; what was wider than the screen is not in it."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(taken.rstrip()), soft_wrap=True)
    return console.export_svg(title=title)


if __name__ == "__main__":
    size, file, text, command = sys.argv[1:]
    Path(file).write_text(svg(screen(size, text, command), int(size.partition("x")[0]), command))
