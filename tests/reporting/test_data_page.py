"""What `unblur data` says of a file, in the terminal and on the page."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from unblur import commands
from unblur.experiments.options import DescribeOptions


class Page(HTMLParser):
    """The text of a page, and the tags and addresses in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.said, self.tags, self.addresses = "", set[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href") and str(value)[0] != "#"]

    def handle_data(self, data: str) -> None:
        self.said += data


def test_the_terminal_and_the_page_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"u{user},<i{item}>,{1 + item % 5}\n" for user in range(6) for item in range(10))
    Path("plays & more.csv").write_text("user,item,stars\n" + rows)
    console = Console(record=True, width=200, soft_wrap=True, quiet=False, file=(tmp_path / "told").open("w"))
    commands.data(DescribeOptions(file="plays & more.csv"), console)
    told = console.export_text()
    text = Path("plays & more.html").read_text()
    page = Page(text)
    for said in (
        "6 users, 10 items, 60 interactions (100.00% of all pairs)",
        "60% are below 4 and count as likes; --min-rating 4 makes them dislikes",
        "columns by their names: user = user, item = item, rating = stars",
        "per_user_time: cannot be made: has no order in time",
        "unblur tune --dataset 'plays & more.yaml'",
    ):
        assert said in told and said in page.said
    assert page.addresses == ["data:,"] and "script" not in page.tags and "svg" in page.tags and len(text) < 40_000
