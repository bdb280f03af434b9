"""Files as people have them: what they are is guessed right, or asked."""

import gzip
import shlex

import numpy as np
import pandas as pd
import pytest

from unblur.data.description import read
from unblur.data.facts import facts_of
from unblur.data.prepare import prepare
from unblur.data.request import DataRequest
from unblur.data.sources import table
from unblur.errors import UserError
from unblur.experiments.describe import describe
from unblur.experiments.options import DescribeOptions

NIGHT = "2021-03-04T23:30:00"


def made(mark, time, header="", rows=60):
    lines = [mark.join([f"{100 + n % 9}", f"{5000 + n % 31}", f"{1 + n % 5}", time(n)]) for n in range(rows)]
    return "".join(f"{line}\n" for line in ([header] if header else []) + lines)


def epoch(n):
    return str(978_300_000 + 37 * n)


def zoned(n):
    return f"2021-03-{1 + n % 28:02d}T23:30:0{n % 10}+0{n % 3}:00"


def parquet(file):
    frame = pd.DataFrame(
        {
            "visitor_id": pd.Categorical([f"v{n % 9}" for n in range(60)]),
            "sku": pd.Categorical([f"s{n % 31}" for n in range(60)]),
            "price": np.arange(60) / 7,
            "event_time": pd.to_datetime([zoned(n) for n in range(60)], utc=True, format="ISO8601"),
        }
    )
    frame.to_parquet(file)


FILES = {
    "bom.csv": (
        "\ufeff" + made(";", epoch, "userId;movieId;rating;timestamp"),
        ("userId", "movieId", "rating", "timestamp"),
    ),
    "zones.csv": (
        made(",", zoned, "Customer ID,product_id,Stars,created_at"),
        ("Customer ID", "product_id", "Stars", "created_at"),
    ),
    "ratings.dat": (made("::", epoch), ("1", "2", "3", "4")),
    "headerless.tsv": (made("\t", epoch), ("1", "2", "3", "4")),
    "recbole.inter": (
        made("\t", epoch, "user_id:token\titem_id:token\trating:float\ttimestamp:float"),
        ("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
    ),
    "books.txt": (
        made(";", epoch, '"User-ID";"ISBN";"Book-Rating";"when"').replace("101;", '"101";'),
        ("User-ID", "ISBN", "Book-Rating", "when"),
    ),
}


@pytest.mark.parametrize("name", [*FILES, "bom.csv.gz", "categories.parquet"])
def test_what_people_have_is_guessed_right_and_read(name, tmp_path):
    file = tmp_path / name
    if name == "categories.parquet":
        parquet(file)
        columns = ("visitor_id", "sku", None, "event_time")
    else:
        text, columns = FILES[name.removesuffix(".gz")]
        file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    found = describe(DescribeOptions(file=str(file), out=tmp_path / "d" / "plays.yaml"))
    assert tuple(column for _, column in found.guess.columns) == columns
    assert (found.facts.total.users, found.facts.total.items, found.facts.total.interactions) == (9, 31, 60)
    assert found.facts.times.first[:4] in ("2000", "2021")
    data = prepare(DataRequest(dataset=str(found.file)), None, tmp_path / "store")  # the description is enough
    assert data.facts.users == 9 and data.facts.has_order
    assert read(found.file).source == f"../{name}"


def test_times_with_zones_are_the_same_moments(tmp_path):
    file = tmp_path / "zones.csv"
    file.write_text(f"user,item,time\na,x,{NIGHT}+02:00\na,y,{NIGHT}Z\nb,x,{NIGHT}-01:00\n")
    times = describe(DescribeOptions(file=str(file), out=tmp_path / "z.yaml")).facts.times
    assert (times.first, times.last, times.resolution) == ("2021-03-04 21:30:00", "2021-03-05 00:30:00", "minutes")


@pytest.mark.parametrize(
    ("name", "text", "question"),
    [
        (
            "who.csv",
            "who,what\nann,tea\nbob,rice\n",
            r"which column is the user and the item\? Name them with --user-col",
        ),
        (
            "half.csv",
            "user_id,thing\n1,2\n",
            r"which column is the item\? Name it with --item-column; there are user_id \(",
        ),
        (
            "odd.tsv",
            "7\tx\t0.25\tlong text\n8\ty\t0.5\tmore\n",
            r"there are 1 \(2 different in the first 2 rows, such as '7'",
        ),
        ("price.csv", "3.5,9,1\n2.25,8,2\n", r"which column is the user and the item\?"),
        (
            "loose.txt",
            "one two three\nfour five\n",
            r"loose.txt: no delimiter cuts its first 2 lines into as many cells",
        ),
        ("x.json", '{"user": 1}\n', r"x.json: holds JSON, expected a table"),
        ("a.zip", "PK", r"a.zip: is an archive, expected the table in it: unpack it first"),
        ("none.csv", "\n", r"none.csv: is empty"),
    ],
)
def test_where_no_guess_is_sure_the_question_is_asked(name, text, question, tmp_path):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(UserError, match=question):
        describe(DescribeOptions(file=str(file), out=tmp_path / "d.yaml"))
    assert not (tmp_path / "d.yaml").exists()


def test_an_answer_is_taken_and_the_rest_guessed(tmp_path):
    file = tmp_path / "odd.tsv"
    file.write_text("7\tx\t4\t978300760\n8\ty\t5\t978300761\n")
    options = DescribeOptions(file=str(file), user_column="2", item_column="1", k_core=1, out=tmp_path / "d.yaml")
    columns = describe(options).guess.columns
    assert tuple(column for _, column in columns) == ("2", "1", "3", "4")
    assert read(tmp_path / "d.yaml").filters.k_core == 1
    with pytest.raises(UserError, match="has no column 'x' for --user-column; there are 1"):
        describe(DescribeOptions(file=str(file), user_column="x", out=tmp_path / "e.yaml"))


def test_a_description_that_was_edited_stays(tmp_path):
    file, out = tmp_path / "a.csv", tmp_path / "a.yaml"
    file.write_text("user,item\nann,tea\n")
    describe(DescribeOptions(file=str(file), out=out))
    describe(DescribeOptions(file=str(file), out=out))
    edited = out.read_text() + "filters: {k_core: 3}\n"
    out.write_text(edited)
    with pytest.raises(UserError, match=r"a.yaml: is there already and says something else; remove it, or"):
        describe(DescribeOptions(file=str(file), out=out))
    assert out.read_text() == edited


def test_the_facts_are_those_of_the_rows(tmp_path):
    file = tmp_path / "a.csv"
    rows = [(user, item, 1 + user % 5, 100 * user + item) for user in range(10) for item in range(10) if item <= user]
    text = "user,item,rating,timestamp\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows)
    file.write_text(text + "9,9,1,9999\n")
    data = table.load([file], DataRequest(dataset=str(file)))
    facts = facts_of(data, data)
    assert (facts.total.users, facts.total.items, facts.total.interactions, facts.repeats) == (10, 10, 55, 1)
    assert facts.head == pytest.approx(10 / 55) and facts.tail[0] == 0 and facts.tail[-1] == pytest.approx(1)
    assert (facts.histories[0.0], facts.histories[1.0]) == (1, 10)
    low = sum(1 + user % 5 < 4 for user, *_ in rows)
    assert facts.ratings.liked == 4 and facts.ratings.below == pytest.approx(low / 55)
    assert sum(facts.ratings.counts.values()) == 55
    core = facts.cores[0]  # users 4 to 9 with items 0 to 5: the rest has fewer than 5
    assert (core.users, core.items, core.interactions) == (6, 6, 35)
    assert all(each.why or each.train + each.valid + each.test == each_total(each, data) for each in facts.divisions)


def each_total(division, data):
    """Rows of the users that a split keeps."""
    lengths = np.bincount(data.frame.user)
    return int(lengths.sum() if division.name == "per_user_time" else np.sort(lengths)[-division.users :].sum())


def test_titles_are_found_and_counted(tmp_path):
    (tmp_path / "ratings.csv").write_text("userId,movieId\n1,10\n1,11\n")
    (tmp_path / "movies.csv").write_text('movieId,title,genres\n10,"Heat, The",x\n12,Other,y\n')
    found = describe(
        DescribeOptions(
            file=str(tmp_path / "ratings.csv"), titles=str(tmp_path / "movies.csv"), out=tmp_path / "d/r.yaml"
        )
    )
    assert found.titles == 1
    titles = read(found.file).titles
    assert (titles.file, titles.item, titles.title) == ("../movies.csv", "movieId", "title")
    (tmp_path / "movies.csv").write_text("a,b\n1,2x\n")
    with pytest.raises(UserError, match="which columns are the item and its title"):
        describe(
            DescribeOptions(
                file=str(tmp_path / "ratings.csv"), titles=str(tmp_path / "movies.csv"), out=tmp_path / "e.yaml"
            )
        )


def test_flags_for_all_columns_are_proposed_at_once_and_are_right(tmp_path):
    file = tmp_path / "plays.csv"
    file.write_text("date,user_id,item_id,stars\n2024-01-02,a,x,4\n2024-01-01,b,y,5\n")
    with pytest.raises(UserError) as told:
        table.load([file], DataRequest(dataset=str(file)))
    flags = shlex.split(str(told.value).partition("did you mean ")[2].partition("?")[0])
    named = {flag[2:].replace("-", "_"): column for flag, column in zip(flags[::2], flags[1::2], strict=True)}
    data = table.load([file], DataRequest(dataset=str(file), **named))
    assert (data.users.tolist(), data.items.tolist()) == (["a", "b"], ["x", "y"])
    assert data.has_order and sorted(data.frame.rating) == [4, 5]
