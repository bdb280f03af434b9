"""Files with a description: what it says is what is read, and a flag wins over it."""

import gzip

import pytest

from unblur.data.description import Description, read
from unblur.data.prepare import prepare, source_digest
from unblur.data.presets import PRESETS, filters_of
from unblur.data.request import DataRequest, name_of
from unblur.data.store import load_dataset
from unblur.data.titles import titles_of
from unblur.errors import UserError

ROWS = [(f"u{user}", f"i{item}", 1 + (user + item) % 5, 100 * user + item) for user in range(12) for item in range(20)]
LONE = [("u0", "rare", 5, 1)]
COLUMNS = "columns: {user: who, item: what, rating: stars, time: at}\n"


def written(folder, text, rows=ROWS, mark=";", head="who;what;stars;at\n", encoding="utf-8"):
    (folder / "raw.txt").write_bytes((head + "".join(f"{mark.join(map(str, row))}\n" for row in rows)).encode(encoding))
    (folder / "plays.yaml").write_text("source: raw.txt\n" + text)
    return str(folder / "plays.yaml")


def prepared(tmp_path, dataset, **flags):
    made = prepare(DataRequest(dataset=dataset, **flags), None, tmp_path / "store")
    return made, load_dataset(made.folder)


def test_any_form_is_the_data_of_the_plain_form(tmp_path):
    plain = tmp_path / "plain.csv"
    plain.write_text("user,item,rating,timestamp\n" + "".join(f"{','.join(map(str, row))}\n" for row in ROWS))
    digest = prepared(tmp_path, str(plain))[0].digest
    for form, kept in (
        ('format: {delimiter: ";"}\n' + COLUMNS, {}),
        ('format: {delimiter: ";", encoding: utf-16}\n' + COLUMNS, {"encoding": "utf-16"}),
        ('format: {delimiter: ";"}\n' + COLUMNS, {"encoding": "utf-8-sig"}),
        (
            'format: {delimiter: "::", header: false}\ncolumns: {user: 1, item: 2, rating: 3, time: 4}\n',
            {"mark": "::", "head": ""},
        ),
    ):
        dataset = written(tmp_path, form, **kept)
        assert prepared(tmp_path, dataset)[0].digest == digest
    packed = tmp_path / "raw.gz"
    packed.write_bytes(gzip.compress((tmp_path / "raw.txt").read_bytes()))
    described = tmp_path / "plays.yaml"
    described.write_text(described.read_text().replace("raw.txt", "raw.gz"))
    assert prepared(tmp_path, str(described))[0].digest == digest and name_of(str(described)) == "plays"


def test_filters_are_those_of_the_description_unless_a_flag_says_otherwise(tmp_path):
    filters = 'format: {delimiter: ";"}\n' + COLUMNS + "filters: {k_core: 5}\n"
    dataset = written(tmp_path, filters, ROWS + LONE)
    assert "rare" not in prepared(tmp_path, dataset)[1].items
    flagged, data = prepared(tmp_path, dataset, min_per_user=20)
    assert "rare" in data.items and "users with >= 20, then items with >= 1: removed 0 users" in "".join(flagged.report)
    hits = prepared(tmp_path, dataset, min_rating=3, k_core=2)[0]
    assert any("rating >= 3: removed" in line for line in hits.report)
    assert any(line.startswith("iterated 2-core: removed 0 users, 1 items") for line in hits.report)


def test_a_change_of_the_description_is_seen_and_is_no_other_raw_data(tmp_path):
    dataset = written(tmp_path, 'format: {delimiter: ";"}\n' + COLUMNS)
    first = prepared(tmp_path, dataset)[0]
    assert first.facts.source_digest == source_digest(DataRequest(dataset=dataset), None)
    written(tmp_path, 'format: {delimiter: ";"}\n' + COLUMNS + "filters: {min_rating: 4}\n")
    second = prepared(tmp_path, dataset)[0]
    assert second.digest != first.digest and second.facts.source_digest == first.facts.source_digest


def test_a_flag_in_place_of_a_presets_own_filters():
    assert str(filters_of(DataRequest(dataset="ml_1m", k_core=20))[0]) == "iterated 20-core"
    assert filters_of(DataRequest(dataset="ml_1m")) == PRESETS["ml_1m"].filters
    with pytest.raises(UserError, match="comes filtered and divided; leave --k-core"):
        filters_of(DataRequest(dataset="yelp2018", min_per_item=3))
    with pytest.raises(UserError, match="--k-core is a minimum of users and items already"):
        DataRequest(k_core=3, min_per_user=2)


def test_titles_are_found_by_raw_id(tmp_path):
    dataset = written(tmp_path, COLUMNS + "titles: {file: films.dat, item: 1, title: 2}\n")
    (tmp_path / "films.dat").write_bytes("1::Amélie (2001)::Drama\n2::M; or N::Crime\n1::Again::x\n".encode("cp1252"))
    assert titles_of(DataRequest(dataset=dataset), None) == {"1": "Amélie (2001)", "2": "M; or N"}
    assert titles_of(DataRequest(), None) == {}
    (tmp_path / "films.dat").unlink()
    with pytest.raises(UserError, match=r"films.dat: no such file of titles; correct"):
        titles_of(DataRequest(dataset=dataset), None)


def test_a_description_is_written_as_it_is_read(tmp_path):
    made = Description.model_validate({"source": "a.csv", "columns": {"user": 1, "item": "x: y"}})
    file = tmp_path / "a.yaml"
    file.write_text(made.text())
    assert read(file) == made


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns: {user: who}\n", r"plays.yaml:2: columns.item: is missing"),
        (COLUMNS + "fitlers: {k_core: 2}\n", r"plays.yaml:3: fitlers: unknown field 'fitlers'. Did you mean 'filters'"),
        (COLUMNS + "format: {delimiter: x}\n", r"plays.yaml:3: format.delimiter: expected one of '::', .*\(found 'x'"),
        (COLUMNS + "format: {encoding: utf-99}\n", r"encoding: expected the name of an encoding, such as utf-8"),
        (COLUMNS + "filters: {k_core: 2, min_per_item: 3}\n", r"--k-core is a minimum of users and items already"),
        (COLUMNS, r"raw.txt: has no column 'who'; the delimiter is ';'"),
        ("columns: {user: who, item: 3}\nformat: {delimiter: ';'}\n", r"raw.txt: has no column '3'; name one"),
    ],
)
def test_mistakes_are_told(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        prepared(tmp_path, written(tmp_path, text))


def test_what_a_description_says_is_not_asked_again(tmp_path):
    with pytest.raises(UserError, match=r"--user-column belongs to a path; --dataset .*plays.yaml says which columns"):
        prepared(tmp_path, written(tmp_path, COLUMNS), user_column="who")
    with pytest.raises(UserError, match=r"gone.yaml: cannot be read: No such file"):
        prepared(tmp_path, str(tmp_path / "gone.yaml"))
