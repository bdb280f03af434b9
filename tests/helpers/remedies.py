"""What every message with which a command ends must have: a way out, and no traceback."""

import re

WAY_OUT = re.compile(
    r"--[a-z]|`[^`]+`|\bexpected\b|did you mean|known:|it has|there are|the same command|"
    r"\b(add|allow\w*|at least|at most|begin|choose|correct|delete|divide|fetch|free|from .* to|give|goes? on|install|"
    r"keep|larger|leave|let|lower|mend|name|needs?|prepare|put|raise|remove|rename|restore|run|save|search|set|start|stop|take|"
    r"train|unset|use|wants?|write)\b",
    re.IGNORECASE,
)


def assert_mendable(status: int, out: str, err: str) -> None:
    """A command that ended with 1 or 2 said what was wrong, in words of ours, and what to do about it."""
    if status not in (1, 2):
        return
    assert "Traceback (most recent call last)" not in out + err, err
    told = err.strip()
    assert told, f"status {status} and not a word"
    assert WAY_OUT.search(told), f"no way out in: {told}"
