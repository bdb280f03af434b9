"""Faults that tests inject into searches, and what is counted of them."""

from dataclasses import dataclass

Row = tuple[str, int, int, int, int]
ROWS: list[Row] = []


@dataclass
class Fault:
    """One kind of fault in one test; what is not told to have survived has not."""

    name: str
    times: int = 0
    lost: int = 0
    duplicated: int = 0
    survived: bool = False

    def inject(self) -> None:
        self.times += 1

    def judge(self, numbers: list[int], expected: int) -> None:
        """Hold the recorded trials against the expected ones; fails the test unless they are the same, once each."""
        self.lost = len(set(range(expected)) - set(numbers))
        self.duplicated = len(numbers) - len(set(numbers))
        assert self.times, f"{self.name}: nothing was injected"
        assert (self.lost, self.duplicated) == (0, 0) and len(numbers) == expected
        self.survived = True
