"""What the tests of the data layer share."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings

from unblur.data.interactions import Interactions, build

settings.register_profile("unblur", deadline=None, max_examples=50)
settings.load_profile("unblur")

Make = Callable[..., Interactions]


@pytest.fixture(scope="session")
def make() -> Make:
    """Interactions from (user, item[, rating[, timestamp]]) rows."""

    def made(rows: Sequence[tuple[object, ...]], strict: bool = False, **columns: object) -> Interactions:
        width = len(rows[0])
        frame = pd.DataFrame(rows, columns=["user", "item", "rating", "timestamp"][:width])
        frame = frame.astype({"user": str, "item": str}).assign(**columns)
        return build(frame, Path("rows"), lambda row: f"rows:{row + 1}", strict, unknown_ratings=True)

    return made
