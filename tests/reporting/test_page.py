"""The files: nothing from outside in them, nothing hostile alive, the numbers of MLflow."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

from tests.helpers.jobs import here
from tests.helpers.made_studies import Made, write_study
from tests.helpers.mlflow_store import empty_store

from unblur import provenance
from unblur.reporting.loading import load
from unblur.reporting.page import to_html, to_markdown
from unblur.reporting.provenance import definitions
from unblur.reporting.report import build
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.reader import Reader

JOB = Path(__file__).parents[2] / "jobs" / "report.py"


class Elements(HTMLParser):
    """Tags with their attributes, and the text outside scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in {"script", "style"}:
            self.text += f" {data}"


def test_nothing_is_fetched(toys: Store) -> None:
    html = to_html(build(load(Reader(toys), "amazon_toys", "clean")))
    elements, names = Elements(html).elements, ("src", "href", "action", "srcset", "data", "poster")
    addresses = [attributes[name] for _, attributes in elements for name in names if name in attributes]
    assert [each for each in addresses if not str(each).startswith("#")] == ["data:,"]  # the icon, asked for otherwise
    policy = next(a["content"] for _, a in elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert not [
        style for style in re.findall(r"<style>.*?</style>", html, re.S) if "@import" in style or "url(" in style
    ]


def test_it_says_once_what_made_the_numbers(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    for model, machine in (("ease", "Linux, 2 CPUs"), ("slist", "Linux, 64 CPUs"), ("diffrec", "Linux, 2 CPUs")):
        write_study(store, Made(model, 0.1, begun={names.MACHINE: machine}), tmp_path)
    told = dict(definitions(load(Reader(store), "amazon_toys", "clean")).rows)
    assert sorted(told["machine of the driver"].split("; ")) == ["Linux, 2 CPUs", "Linux, 64 CPUs"]
    assert (told["version"], told["libraries"]) == (provenance.version(), "unknown")


def test_the_page_weighs_little(toys: Store) -> None:
    """Five megabytes are not attached to a mail, and each study's run keeps a page."""
    assert len(to_html(build(load(Reader(toys), "amazon_toys", "clean"))).encode()) < 400_000


def test_hostile_text_is_text(hostile: Store) -> None:
    report = build(load(Reader(hostile), "amazon_toys", "clean"))
    page = Elements(to_html(report))
    tags = [tag for tag, _ in page.elements]
    assert not {"script", "img", "iframe", "foreignobject", "image"} & set(tags)
    assert all(str(attributes.get("href")).startswith("#") for tag, attributes in page.elements if tag == "a")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "<img src=https://evil.example onerror=alert(2)>" in page.text and "{{7*7}}" in page.text
    lines = to_markdown(report).splitlines()
    assert not [line for line in lines if re.search(r"(?<!\\)<(script|img|a)", re.sub(r"`[^`]*`", "", line))]
    tables = [line for line in lines if line.startswith("|")]
    assert tables and all(line.endswith("|") for line in tables)


def test_markdown_has_the_numbers(toys: Store) -> None:
    evidence = load(Reader(toys), "amazon_toys", "clean")
    markdown = to_markdown(build(evidence))
    for study in evidence.studies:
        metrics = study.run.metrics
        for name in ("ndcg_at_10", "recall_at_10"):
            assert f"{metrics[f'test/{name}']:.4f} ± {metrics[f'test/{name}_std']:.4f}" in markdown
        assert study.run.id in markdown
        assert f"--model {study.model}" in markdown
    assert "as always" in markdown  # the definition that was logged with the numbers
    assert "other users: 2,676 in the paper, 4,149 here" in markdown


def test_the_job(toys: Store, tmp_path: Path) -> None:
    command = [sys.executable, str(JOB), "--dataset", "amazon_toys", "--tracking-uri", toys.uri]
    files = ["--output", str(tmp_path / "new" / "r.html"), "--markdown", str(tmp_path / "t.md")]
    done = subprocess.run([*command, *files], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ease is significantly ahead" in done.stdout
    assert (tmp_path / "new" / "r.html").stat().st_size > 100_000 and (tmp_path / "t.md").stat().st_size > 1000
    wrong = here(tmp_path, "report", *command[2:], "--protocol", "dusty")
    assert wrong.returncode == 2 and "no experiment 'amazon_toys/dusty'" in wrong.stderr
    assert not (tmp_path / "report.html").exists()
    nowhere = here(tmp_path, "report", *command[2:], "--output", "/proc/r.html")
    assert nowhere.returncode == 2 and "--output /proc/r.html cannot be written" in nowhere.stderr
