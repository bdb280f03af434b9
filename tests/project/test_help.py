"""What --help and the pages tell a person to type."""

import inspect
from pathlib import Path

import pytest
from rich.console import Console
from tests.helpers import ROOT
from tests.helpers.command_lines import commands_in, read

from unblur import commands, help
from unblur.options import Options, Topic, flag

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DESCRIPTION = "source: plays.csv\ncolumns: {user: listener, item: track, time: played_at}\n"


def options(name: str) -> type[Options]:
    found: type[Options] = inspect.signature(commands.ALL[name]).parameters["options"].annotation
    return found


def shown(name: str, width: int = 80) -> str:
    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        console.print(help.page(options(name), f"unblur {name}", inspect.getdoc(commands.ALL[name]) or ""))
    return capture.get()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the examples name."""
    monkeypatch.chdir(tmp_path)
    for name in ("plays", "ratings"):
        (tmp_path / f"{name}.csv").write_text("listener,track,played_at\n")
        (tmp_path / f"{name}.yaml").write_text(DESCRIPTION)
    (tmp_path / "search_spaces").symlink_to(ROOT / "search_spaces")
    (tmp_path / "mine.yaml").write_text("model: cfg_diffrec\nparameters: {lr: {type: float, low: 0.001, high: 0.1}}\n")


@pytest.mark.parametrize("name", commands.ALL)
def test_every_example_of_a_command_can_be_typed(name: str, files: None) -> None:
    lines = help.command_lines(inspect.getdoc(commands.ALL[name]) or "")
    assert lines and all(line.startswith(f"unblur {name} ") for line in lines)
    for line in lines:
        assert isinstance(read(line), options(name))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_can_be_typed(page: Path, files: None) -> None:
    for line in commands_in(page.read_text()):
        assert isinstance(read(line), Options), line


def test_commands_are_found_in_pages() -> None:
    page = "```sh\nray job submit -- unblur tune \\\n    --trials 3\nls\n```\n"
    assert commands_in(page) == ["unblur tune --trials 3"]
    assert sum(len(commands_in(page.read_text())) for page in PAGES) > 40


@pytest.mark.parametrize("name", commands.ALL)
def test_every_flag_is_told_once_with_its_meaning(name: str) -> None:
    told = shown(name, 200)
    for field, info, _ in help.flags(options(name)):
        left = field.upper() if help.POSITIONAL in info.metadata else flag(field)
        assert [line.split()[0] for line in told.splitlines() if line.strip()].count(left) == 1, left
        assert info.description, f"{field} says nothing"
    assert "None" not in told


def test_flags_stand_in_their_groups_with_the_data_first() -> None:
    lines = shown("tune").splitlines()
    heads = [line for line in lines if line in {topic.value for topic in Topic}]
    assert heads == [
        "data", "search", "training and test", "a file of your own", "what is left out of the data", "compute", "places"
    ]  # fmt: skip
    group: dict[str, str] = {}
    head = ""
    for line in lines:
        head = line if line in heads else head
        if line.startswith("  --"):
            group[line.split()[0]] = head
    assert group["--dataset"] == "data" and group["--trials"] == group["--model"] == "search"
    assert group["--seed"] == "training and test" and group["--user-column"] == "a file of your own"
    assert group["--gpus-per-worker"] == "compute" and group["--storage"] == "places"


@pytest.mark.parametrize("width", [60, 80, 160])
def test_no_line_is_wider_than_the_window(width: int) -> None:
    assert max(map(len, shown("tune", width).splitlines())) <= width


def test_values_and_defaults_are_told() -> None:
    told = shown("tune", 200)
    assert "--sweep-inference {on,off}" in told and "--gpus-per-worker NUMBER|auto" in told
    assert "--trials INT" in told and "[30]" in told and "known: " in told
    assert "FILE" in shown("data").splitlines()[1] and "--tracking-uri TEXT" in told
