"""What a handful of users would get, for people to look at."""

from collections.abc import Sequence

from unblur.errors import shorten
from unblur.formatting import counted
from unblur.reporting.runs import StudyRuns
from unblur.reporting.tables import Table

LONGEST = 80
"""Characters of a title."""


def examples(studies: Sequence[StudyRuns]) -> Table:
    """Of the first study, the best first, that has any; a row for each user."""
    study = next((study for study in studies if study.examples), None)
    if study is None:
        return Table("Examples", [], [])
    ordered = all(each["ordered"] for each in study.examples)
    rows = [
        [f"a user with {counted(each['interactions'], 'interaction')}", _listed(each["had"]), _listed(each["gets"])]
        for each in study.examples
    ]
    had = "newest items, the newest first" if ordered else "some of the items"
    columns = ["who", had, f"what {study.model} would give"]
    note = (
        f"By {study.model}, the seed best on validation, with history {study.history}. The users stand at a tenth, "
        "three tenths, half, ... of those that are tested, by the length of their histories: chosen by nothing that "
        "was recommended, too few to be evidence, and whether a recommendation was a hit is not said."
    )
    return Table("Examples", columns, rows, note)


def _listed(items: Sequence[str]) -> str:
    return " · ".join(shorten(item, LONGEST) for item in items)
