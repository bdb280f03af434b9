"""What the report shows of recommendations."""

from dataclasses import replace

from tests.helpers.made_studies import EXAMPLES

from unblur.reporting.examples import LONGEST, examples
from unblur.reporting.loading import load
from unblur.reporting.page import to_html
from unblur.reporting.report import build
from unblur.tracking.client import Store
from unblur.tracking.reader import Reader


def test_the_model_in_the_first_place_gives_examples(toys: Store) -> None:
    evidence = load(Reader(toys), "amazon_toys", "clean")
    (table,) = next(section for section in build(evidence).sections if section.title == "What users would get").tables
    assert table.columns[-1] == "what ease would give" and "history train" in table.note
    assert [row[0] for row in table.rows] == ["a user with 1 interaction", "a user with 12 interactions"]
    assert table.rows[1][1:] == ["Robot · 17", "Kite · <b>Yo-yo</b>"]
    assert "Kite · &lt;b&gt;Yo-yo&lt;/b&gt;" in to_html(build(evidence))


def test_what_has_no_examples_says_nothing_of_them(toys: Store) -> None:
    evidence = load(Reader(toys), "amazon_toys", "clean")
    bare = [replace(study, examples=()) for study in evidence.studies]
    assert not examples(bare).rows and "What users would get" not in to_html(build(replace(evidence, studies=bare)))
    first, second = bare[0], replace(bare[1], examples=EXAMPLES)
    assert examples([first, second]).columns[-1] == f"what {second.model} would give"


def test_items_without_an_order_are_no_newest_and_long_titles_are_cut(toys: Store) -> None:
    study = load(Reader(toys), "amazon_toys", "clean").studies[0]
    odd = [{"interactions": 3, "ordered": False, "had": ["x" * 500], "gets": []}]
    table = examples([replace(study, examples=odd)])
    assert table.columns[1] == "some of the items" and len(table.rows[0][1]) == LONGEST
