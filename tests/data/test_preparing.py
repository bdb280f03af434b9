"""From request to prepared data: presets, reuse, refusals, and the job around it."""

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.helpers.remedies import assert_mendable

from unblur.data import presets, sources, store
from unblur.data.prepare import prepare
from unblur.data.prepared_folder import TEST_FILE, folder_of, is_sound
from unblur.data.presets import PRESETS, history_of
from unblur.data.request import DataRequest
from unblur.data.sources import source
from unblur.data.test_set import TestSet
from unblur.errors import UserError

JOB = Path(__file__).parents[2] / "jobs" / "prepare.py"


@pytest.fixture
def table(tmp_path):
    """A CSV file of 20 users with 12 items each, a third of the ratings below 4."""
    rows = [
        f"u{user},i{(user + step) % 17},{3 + step % 3},{1000 * step + user}" for user in range(20) for step in range(12)
    ]
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(["user,item,rating,timestamp", *rows]) + "\n")
    return file


def test_sample_is_prepared_and_reused(tmp_path):
    first = prepare(DataRequest(), None, tmp_path)
    assert (first.facts.users, first.facts.items) == (2000, 1000)
    assert first.facts.has_order and first.facts.has_ratings
    dataset = store.load_dataset(first.folder)
    assert (dataset.train.nnz, dataset.valid.nnz) == (first.facts.train, first.facts.valid)
    assert TestSet.open("a test", tmp_path, dataset).test.nnz == first.facts.test
    started = time.perf_counter()
    assert prepare(DataRequest(), None, tmp_path) == first
    assert time.perf_counter() - started < 0.5


def test_sample_rewards_a_good_model(tmp_path):
    """EASE (lambda 100) at least twice popularity's nDCG@10 on test."""
    prepared = prepare(DataRequest(), None, tmp_path)
    dataset = store.load_dataset(prepared.folder)
    test = TestSet.open("a test", tmp_path, dataset).test.toarray()
    gram = (dataset.train.T @ dataset.train).toarray()
    inverse = np.linalg.inv(gram + 100 * np.eye(len(gram)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    discount = 1 / np.log2(np.arange(10) + 2)

    def ndcg(scores):
        scores = np.where((dataset.train + dataset.valid).toarray() > 0, -np.inf, scores)
        top = np.argsort(-scores, axis=1)[:, :10]
        ideal = np.cumsum(discount)[np.minimum(test.sum(1).astype(int), 10) - 1]
        return ((np.take_along_axis(test, top, 1) @ discount) / ideal)[test.sum(1) > 0].mean()

    popularity = np.broadcast_to(np.asarray(dataset.train.sum(0)), test.shape)
    assert ndcg(dataset.train @ weights) > 2 * ndcg(popularity)


def test_damaged_prepared_data_are_made_again(tmp_path):
    first = prepare(DataRequest(), None, tmp_path)
    (first.folder / TEST_FILE).write_bytes(b"")
    assert prepare(DataRequest(), None, tmp_path) == first
    assert is_sound(folder_of(tmp_path, first.digest))


def test_another_file_behind_the_same_name_is_noticed(table, tmp_path):
    first = prepare(DataRequest(dataset=str(table)), None, tmp_path)
    table.write_text(table.read_text() + "u1,new,5,99999\n")
    second = prepare(DataRequest(dataset=str(table)), None, tmp_path)
    assert second.digest != first.digest and second.facts.items == first.facts.items + 1


def test_seed_changes_only_what_is_random(table, tmp_path):
    def digest(**request):
        return prepare(DataRequest(dataset=str(table), **request), None, tmp_path).digest

    assert digest(data_seed=1) == digest(data_seed=2)
    noisy = {"protocol": "noisy_random", "protocol_share": 0.3}
    assert digest(data_seed=1, **noisy) != digest(data_seed=2, **noisy)
    assert digest(data_seed=1, split="per_user_random") != digest(data_seed=2, split="per_user_random")


@pytest.mark.parametrize(
    ("request_", "sizes"),
    [
        ({}, (180, 40, 20)),  # of 12 each: int(8.4) + 1 train, round(3 / 3) test
        ({"ratios": "80/10/10"}, (200, 20, 20)),
        ({"ratios": "80/20"}, (180, 20, 40)),
        ({"split": "per_user_random", "ratios": "80/20"}, (180, 20, 40)),
        ({"split": "global_time", "ratios": "80/20"}, (173, 19, 48)),  # cuts at 172.8 and 192 of 240 times
    ],
)
def test_split_and_ratios(table, tmp_path, request_, sizes):
    facts = prepare(DataRequest(dataset=str(table), **request_), None, tmp_path).facts
    assert (facts.train, facts.valid, facts.test) == sizes


def test_a_table_without_times_needs_a_division_at_random(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("user,item\n" + "".join(f"{user},{item}\n" for user in "abc" for item in range(10)))
    with pytest.raises(UserError, match=r"no order in time \(name a column of times with --time-column\)"):
        prepare(DataRequest(dataset=str(file)), None, tmp_path)
    facts = prepare(DataRequest(dataset=str(file), split="per_user_random"), None, tmp_path).facts
    assert (facts.train, facts.valid, facts.test) == (24, 3, 3) and not facts.has_order


@pytest.mark.parametrize("request_", [{"min_rating": 4}, {"protocol": "noisy_natural"}, {"split": "global_time"}])
def test_the_report_accounts_for_every_row(table, tmp_path, request_):
    prepared = prepare(DataRequest(dataset=str(table), **request_), None, tmp_path)
    facts = prepared.facts
    rows = [int(line.split(", ")[-1].split()[0]) for line in prepared.report if "removed" in line and "users" in line]
    assert 240 - sum(rows) == facts.train + facts.valid + facts.test


def test_the_source_has_the_rows_of_the_file_repeats_included(table, tmp_path):
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([*lines, *lines[1:8]]))
    report = prepare(DataRequest(dataset=str(table)), None, tmp_path).report
    assert report[0].endswith(f"{len(lines) - 1 + 7} rows") and report[1].startswith("duplicate pairs: 7 rows removed")


def test_equal_times_are_in_the_order_of_the_file_or_of_the_ids(tmp_path):
    file = tmp_path / "mine.csv"
    rows = ["a,12,2", "a,9,2", "a,7,1", "a,100,2", "b,7,1", "b,9,2", "b,12,3", "b,100,4"]
    file.write_text("user,item,timestamp\n" + "\n".join(rows) + "\n")
    ask = {"dataset": str(file), "split": "leave_one_out"}
    told = []
    for ties in ("file", "item"):
        dataset = store.load_dataset(prepare(DataRequest(**ask, ties=ties), None, tmp_path).folder)
        ordered = dataset.known(with_valid=True).sequences(4)[0][0]
        told.append([None if item == dataset.n_items else str(dataset.items[item]) for item in ordered])
    assert told == [[None, "7", "12", "9"], [None, "7", "9", "12"]]


def test_ids_that_are_no_numbers_are_ordered_as_words(make):
    data = make([("a", "b10", 5, 1), ("a", "b9", 5, 1), ("a", "c", 5, 0)], ties="item")
    assert data.items[data.frame.item].tolist() == ["c", "b10", "b9"]


def test_the_history_at_the_test_follows_the_split():
    assert history_of(DataRequest(dataset="beauty_5core")) == "train+valid"
    assert history_of(DataRequest(dataset="beauty_5core", split="per_user_time")) == "train"
    assert history_of(DataRequest(dataset="yelp2018")) == "train"
    assert history_of(DataRequest(split="leave_one_out")) == "train+valid"


REFUSALS = [
    ({"split": "leave_one_out", "ratios": "80/20"}, "--ratios 80/20 has no meaning with the split leave_one_out"),
    ({"dataset": "ml_1n"}, "unknown dataset 'ml_1n'. Did you mean 'ml_1m'"),
    ({"dataset": "no/such.csv"}, r"no/such.csv: no such file"),
    ({"dataset": "/tmp"}, "/tmp: is a folder, expected a file"),
    ({"protocol_share": 0.2}, "--protocol-share belongs to --protocol noisy_random or sparse"),
    ({"protocol": "noisy_random"}, "noisy_random needs --protocol-share from 0 to 0.5, found None"),
    ({"protocol": "noisy_random", "protocol_share": 0.9}, "found 0.9"),
    ({"protocol": "noisy_random", "protocol_share": float("nan")}, "found nan"),
    ({"protocol": "sparse", "protocol_share": 0.05}, "sparse needs --protocol-share from 0.1 to 1, found 0.05"),
    ({"user_column": "who"}, "--user-column belongs to a path"),
    ({"min_rating": 6}, "leave no user"),
    (
        {"dataset": "yelp"},
        r"UNBLUR_DATA_DIR.*https://www.yelp.com/dataset and put it there as yelp/yelp_academic_dataset_review.json",
    ),
]


@pytest.mark.parametrize(("request_", "message"), REFUSALS)
def test_refusals(request_, message, tmp_path):
    with pytest.raises(UserError, match=message):
        prepare(DataRequest(**request_), tmp_path, tmp_path)


def test_given_data_refuse_what_needs_time_or_ratings(tmp_path):
    (tmp_path / "yelp2018").mkdir()
    source("lightgcn").example(tmp_path / "yelp2018")
    for wrong, message in (
        ({"split": "per_user_time"}, "leave --split out"),
        ({"split": "global_time"}, "leave --split out"),
        ({"ties": "item"}, "leave --ties out"),
        ({"ratios": "80/20"}, "--ratios 80/20 has no meaning with the split given of yelp2018"),
        ({"protocol": "noisy_natural"}, "no ratings"),
    ):
        with pytest.raises(UserError, match=message):
            prepare(DataRequest(dataset="yelp2018", **wrong), tmp_path, tmp_path)


def test_too_small_data_say_what_is_missing(tmp_path):
    (file,) = source("table").example(tmp_path)
    with pytest.raises(UserError, match="nothing is left for valid"):
        prepare(DataRequest(dataset=str(file)), None, tmp_path)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_sources_and_pages(name):
    preset = PRESETS[name]
    assert preset.source in sources.names()
    assert re.fullmatch(r"https://\S+", preset.page) or name == "sample"
    assert all(not Path(file).is_absolute() for form in preset.forms for file in form)


def test_a_form_with_ratings_is_preferred(tmp_path):
    forms = [form[0] for form in presets.PRESETS["amazon_toys"].forms]
    order = ["reviews_Toys_and_Games_5.json.gz", "Toys_and_Games_rated.csv.gz", "Toys_and_Games.txt"]
    places = [forms.index(f"amazon_2014_5core/{name}") for name in order]
    assert places == sorted(places)


def run(*flags):
    done = subprocess.run([sys.executable, str(JOB), *map(str, flags)], capture_output=True, text=True, timeout=600)
    assert_mendable(done.returncode, done.stdout, done.stderr)
    return done


def test_the_job_prints_the_report(table, tmp_path):
    done = run("--dataset", table, "--storage", tmp_path, "--min-rating", 4, "--strict")
    assert done.returncode == 0, done.stderr
    assert "rating >= 4: removed 0 users, 0 items, 80 rows" in done.stdout
    assert re.search(r"digest [0-9a-f]{64}", done.stdout)


def test_the_job_ends_with_2_and_one_message(table, tmp_path):
    table.write_text(table.read_text() + "a,b,five,1\n")
    done = run("--dataset", table, "--storage", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "mine.csv:242: rating is 'five', expected a number" in done.stderr
    for wrong in (["--protocol", "dirty"], ["--datset", "sample"], ["--data-seed", -1]):
        assert run(*wrong).returncode == 2


@pytest.mark.parametrize("ratios", ["70/20", "70/20/20", "100/0", "0/100", "60/30/5/5", "a/b", "70/-20/50", ""])
def test_ratios_are_percentages(ratios):
    with pytest.raises(UserError, match=r"--ratios = .*such as 70/20/10 or 80/20"):
        DataRequest(ratios=ratios)


def test_wrong_names_are_answered_with_the_nearest():
    for flag, wrong, near in (("split", "per_user_tim", "per_user_time"), ("protocol", "noisy_randm", "noisy_random")):
        with pytest.raises(UserError, match=f"--{flag} = '{wrong}': unknown {flag} '{wrong}'. Did you mean '{near}'"):
            DataRequest(**{flag: wrong})
