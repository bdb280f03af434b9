"""What the tests of the data layer share."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings

from unblur.data.interactions import Interactions, build
from unblur.data.request import DataRequest, Repeats, Ties

settings.register_profile("unblur", deadline=None, max_examples=50)
settings.load_profile("unblur")

Make = Callable[..., Interactions]


@pytest.fixture(scope="session")
def make() -> Make:
    """Interactions from (user, item[, rating[, timestamp]]) rows; equal times in the order of the rows."""

    def made(
        rows: Sequence[tuple[object, ...]], ties: Ties = "file", repeats: Repeats = "first", **columns: object
    ) -> Interactions:
        width = len(rows[0])
        frame = pd.DataFrame(rows, columns=["user", "item", "rating", "timestamp"][:width])
        frame = frame.astype({"user": str, "item": str}).assign(**columns)
        where = lambda row: f"rows:{row + 1}"  # noqa: E731
        request = DataRequest(repeats=repeats)
        return build(frame, Path("rows"), where, request, ties=ties, unknown_ratings=True)

    return made
