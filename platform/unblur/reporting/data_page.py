"""What a person's own file is, in lines for a terminal and as one small HTML page."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unblur.data.facts import PARTS, DataFacts
from unblur.experiments.describe import DataDescription
from unblur.redaction import redact
from unblur.reporting.figure import COLORS, Plot, drawing, figure_of
from unblur.reporting.tables import Table
from unblur.reporting.template import rendered

TEMPLATE = "data.html.j2"


@dataclass(frozen=True)
class Block:
    """A heading and what stands below it, one sentence or row of cells a line; the first row names the columns."""

    title: str
    sentences: Sequence[str]
    rows: Sequence[Sequence[str]] = ()

    @property
    def table(self) -> Table | None:
        """The rows for a page."""
        return Table(self.title, self.rows[0], self.rows[1:]) if self.rows else None


def blocks(found: DataDescription) -> list[Block]:
    """All that is said of a file."""
    facts, total = found.facts, found.facts.total
    counts = [
        f"{total.users:,} users, {total.items:,} items, {total.interactions:,} interactions "
        f"({total.interactions / (total.users * total.items):.2%} of all pairs)",
        f"{facts.repeats:,} rows name a pair that was there before, and are left out",
    ]
    if found.titles is not None:
        counts.append(f"{found.titles:,} of {total.items:,} items have a title")
    counts += [note for note in found.notes if not note.startswith("duplicate pairs")]
    return [
        Block("What it is", _form(found)),
        Block("Counts", counts),
        Block("Long tail", [f"the tenth of the items with the most has {facts.head:.0%} of the interactions"]),
        _histories(facts),
        Block("Time", _times(facts)),
        _ratings(facts),
        _cores(facts),
        _divisions(facts),
    ]


def lines(found: DataDescription) -> list[str]:
    """The blocks as text."""
    told = []
    for block in blocks(found):
        told += [f"{block.title}:", *(f"  {sentence}" for sentence in block.sentences)]
        widths = [max(map(len, column)) for column in zip(*block.rows, strict=True)]
        told += ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in block.rows]
    return told


def next_step(found: DataDescription) -> str:
    """The command that can be pasted next."""
    return shlex.join(["unblur", "tune", "--dataset", str(found.file)])


def html(found: DataDescription) -> str:
    """The page; it asks nothing of any server and has no script."""
    plots = {"Long tail": _tail(found.facts)} | ({"Ratings": _stars(found.facts)} if found.facts.ratings else {})
    return rendered(
        TEMPLATE,
        list(plots.values()),
        title=Path(found.source).name if "://" not in found.source else redact(found.source),
        subtitle="As it was read, before anything is filtered or divided",
        blocks=blocks(found),
        below=plots,
        command=next_step(found),
    )


def _tail(facts: DataFacts) -> Plot:
    """How much of all the most frequent items have."""
    shares = [place / PARTS for place in range(PARTS + 1)]
    with drawing("share of the items, the most frequent first", "share of the interactions", 300) as axes:
        axes.plot(shares, facts.tail, color=COLORS[0], linewidth=2.5)
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda share, _: f"{share:.0%}")
    rows = [[f"{share:.0%}", f"{value:.1%}"] for share, value in zip(shares, facts.tail, strict=True)]
    table = Table("Long tail", ["share of the items", "share of the interactions"], rows)
    caption = "The further the curve is bent to the upper left, the more a few items have."
    return Plot("tail", "What the most frequent items have", caption, figure_of(axes), table)


def _stars(facts: DataFacts) -> Plot:
    """How often each rating occurs."""
    counts = facts.ratings.counts if facts.ratings else {}
    with drawing("rating", "rows", 260) as axes:
        axes.bar([f"{value:g}" for value in counts], list(counts.values()), color=COLORS[0])
        axes.grid(axis="x", visible=False)
    return Plot("ratings", "How often each rating occurs", "The table above has the numbers.", figure_of(axes))


def _form(found: DataDescription) -> list[str]:
    form, columns = found.guess.form, found.guess.columns
    if found.source.partition("?")[0].lower().endswith(".parquet"):
        kind = "Parquet"
    else:
        header = "the first line names the columns" if form.header else "no line names the columns: they are 1, 2, ..."
        kind = f"text in {form.encoding}, columns cut by {form.delimiter!r}, {header}"
    roles = ", ".join(f"{role} = {column}" for role, column in columns if column is not None)
    told = [kind, f"columns {found.guess.how}: {roles}"]
    if "places" in found.guess.how:
        told.append(f"if it is otherwise: --user-column {columns.item} --item-column {columns.user}")
    if columns.rating is None:
        told.append("no ratings: every row is a like; --rating-column names a column of them")
    return told


def _histories(facts: DataFacts) -> Block:
    names = [f"{q:.0%}" if 0 < q < 1 else ("least", "most")[int(q)] for q in facts.histories]
    rows = [
        ["share of the users", *names],
        ["interactions of a user", *(f"{length:,}" for length in facts.histories.values())],
    ]
    return Block("History lengths", ["a share of the users has so many interactions or fewer"], rows)


def _times(facts: DataFacts) -> list[str]:
    if facts.times is None:
        return ["no order in time; --time-column names a column of times, --split per_user_random does without"]
    times = facts.times
    told = [f"{times.first} to {times.last}, in {times.resolution}"]
    if times.shared:
        told.append(f"{times.shared:.0%} of the interactions have another of their user at the same time (see --ties)")
    return told


def _ratings(facts: DataFacts) -> Block:
    ratings = facts.ratings
    if ratings is None:
        return Block("Ratings", ["none on a scale"])
    share = f"{ratings.below:.0%} are below {ratings.liked:g} and count as likes"
    told = [f"{share}; --min-rating {ratings.liked:g} makes them dislikes" if ratings.below else "all are the highest"]
    if ratings.unknown:
        told.append(f"{ratings.unknown:,} rows have none")
    rows = [["rating", *(f"{value:g}" for value in ratings.counts)]]
    return Block("Ratings", told, [*rows, ["rows", *(f"{count:,}" for count in ratings.counts.values())]])


def _cores(facts: DataFacts) -> Block:
    rows = [["filter", "users", "items", "interactions", "of all"]]
    for core in facts.cores:
        share = f"{core.interactions / facts.total.interactions:.0%}"
        rows.append([core.name, f"{core.users:,}", f"{core.items:,}", f"{core.interactions:,}", share])
    return Block("What a k-core keeps", ["--k-core K, or `filters: {k_core: K}` in the description"], rows)


def _divisions(facts: DataFacts) -> Block:
    rows = [["split", "train", "valid", "test", "users"]]
    told = []
    for each in facts.divisions:
        if each.why:
            told.append(f"{each.name}: cannot be made: {each.why}")
        else:
            rows.append([each.name, *(f"{n:,}" for n in (each.train, each.valid, each.test, each.users))])
    return Block("What the splits give of what the filters keep", told, rows if len(rows) > 1 else ())
