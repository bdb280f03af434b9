"""What people have reported of programs of this kind, tried here: each case by what it is, with its test.

The tests lie where their subject does; here they are found, so that none goes unnoticed. What no other file holds is
tested below.
"""

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.test_results import study
from tests.helpers import ROOT

from unblur.data.prepare import prepare
from unblur.data.request import DataRequest
from unblur.errors import UserError
from unblur.experiments import next_steps as steps
from unblur.experiments.display import to_look
from unblur.experiments.evaluate import find_model
from unblur.experiments.options import EvaluateOptions, SearchOptions, TrainOptions
from unblur.reporting.options import ReportOptions

HELD = {
    "an open quote swallows no rows": "data/test_same_data.py::test_a_quote_that_is_not_closed_is_refused_with_its_row",
    "quoted line breaks are read alike at any size, and lines are counted in the file": (
        "data/test_same_data.py::test_quoted_line_breaks_are_the_same_at_any_size_and_lines_are_the_files"
    ),
    "one time for all rows is no order": "data/test_same_data.py::test_one_time_for_all_is_no_order",
    "of a repeated pair the earliest counts, whatever the order of the rows": (
        "data/test_same_data.py::test_of_a_repeated_pair_the_earliest_counts"
    ),
    "the order of rows, format and compression change nothing": (
        "data/test_same_data.py::test_every_form_and_order_of_rows_is_the_same_data"
    ),
    "microseconds of a date are kept": "data/test_same_data.py::test_no_precision_of_a_time_is_lost",
    "a missing value becomes no id": "data/test_same_data.py::test_a_missing_value_never_becomes_an_id",
    "123 and 123.0 are two ids, and that is told": (
        "data/test_same_data.py::test_ids_in_two_spellings_and_made_up_times_are_told"
    ),
    "ids that are floats above 2^53 are refused": (
        "data/test_same_data.py::test_ids_that_are_floats_are_whole_numbers_or_refused"
    ),
    "one long id costs no more than its text": (
        "data/test_same_data.py::test_the_memory_of_a_vocabulary_follows_its_text"
    ),
    "a delimiter, a line end, a first line that are none are named": "data/test_same_data.py::test_headers",
    "a type that a column cannot have is named": (
        "data/test_same_data.py::test_a_column_of_another_type_is_named_with_its_type"
    ),
    "a saved model is refused for other data": (
        "models/test_trained_on.py::test_other_data_of_the_same_size_are_refused_with_both_digests"
    ),
    "a champion whose files are gone is missed before anything is trained": (
        "experiments/test_champion.py::test_a_champion_without_files_is_missed_before_anything_is_trained"
    ),
    "it is named with model, version, path and the way out": (
        "tracking/test_registry.py::test_a_champion_whose_files_are_gone_is_named_with_the_way_out"
    ),
    "a registry that fails costs no result": (
        "experiments/test_final_evaluation.py::test_a_registry_that_fails_costs_no_result"
    ),
    "a folder of artifacts that was moved is not made anew": (
        "tracking/test_client.py::test_a_folder_of_artifacts_that_was_moved_is_missed_and_not_made_anew"
    ),
    "a model that was deleted is trained again": (
        "experiments/test_final_evaluation.py::test_a_model_that_was_deleted_is_trained_again"
    ),
    "a file that is missing is no fault of MLflow": (
        "tracking/test_client.py::test_what_the_file_system_says_of_a_file_is_not_told_as_a_fault_of_mlflow"
    ),
    "whatever is deleted in MLflow is there again with all it had": (
        "experiments/test_lost_records.py::test_whatever_is_lost_is_there_again_with_all_it_had"
    ),
    "another storage never writes into a finished study": (
        "experiments/test_lost_records.py::test_another_storage_is_another_study_and_a_stop_there_harms_none"
    ),
    "a stop takes back no result": (
        "experiments/test_lost_records.py::test_a_stop_of_a_finished_study_that_goes_on_takes_nothing_back"
    ),
    "where all trials failed, it says what to do": (
        "experiments/test_resume.py::test_where_no_trial_was_completed_it_says_what_to_do"
    ),
    "time in which everything stood still fails no trial": (
        "running/test_tune_hooks.py::test_time_in_which_the_driver_stood_still_is_nobodys_silence"
    ),
    "a signal to all processes at once ends within seconds": "chaos/test_stops.py::test_sigterm",
    "a reader that goes away ends no run": "project/test_streams.py::test_who_reads_no_more_is_not_missed",
    "letters that an encoding has not end no run": (
        "project/test_streams.py::test_letters_that_an_encoding_has_not_are_replaced"
    ),
    "the summary is written before anything is printed": (
        "project/test_streams.py::test_the_summary_is_there_before_a_word_is_said"
    ),
    "MLflow's own text is whole, its command filled in": (
        "tracking/test_client.py::test_what_mlflow_says_is_whole_and_its_command_can_be_pasted"
    ),
    "two files of one name have a report each": (
        "reporting/test_loading.py::test_two_files_of_one_name_have_a_report_each"
    ),
    "the second of them is told at its start": (
        "reporting/test_loading.py::test_the_second_file_of_a_name_is_told_at_its_start"
    ),
    "a folder too long for sockets is named": (
        "running/test_cluster.py::test_a_ray_that_does_not_start_says_why_and_is_tried_again_if_it_was_slow"
    ),
}


@pytest.mark.parametrize("case", HELD)
def test_a_reported_case_has_its_test(case: str) -> None:
    file, _, name = HELD[case].partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(), re.M), f"{case}: {HELD[case]}"


def test_what_is_told_can_be_pasted() -> None:
    """Names with spaces, quotes and what a shell would take for its own."""
    odd = "/data/it's $(here) & there/m 1.db"
    options = SearchOptions(data=DataRequest(dataset=odd), storage=odd, tracking_uri=f"sqlite:///{odd}")
    found = replace(study("ease", [0.1]), tracking_uri=f"sqlite:///{odd}")
    for line in [*steps.next_steps(found, options), *to_look(found)]:
        words = shlex.split(line)
        assert any(odd in word for word in words), line
        assert not [word for word in words if word.startswith("$(")], "it is one word"


@pytest.mark.parametrize(
    ("options", "flag", "value"),
    [
        (TrainOptions, "summary", "s3://bucket/s.json"),
        (TrainOptions, "config", "s3://bucket/best.yaml"),
        (SearchOptions, "search_space", "gs://bucket/space.yaml"),
        (ReportOptions, "output", "s3://bucket/report.html"),
        (ReportOptions, "markdown", "file:///report.md"),
        (EvaluateOptions, "data_dir", "s3://bucket/raw"),
    ],
)
def test_an_address_where_a_path_is_meant_makes_no_folder_of_that_name(options: Any, flag: str, value: str) -> None:
    named = f"--{flag.replace('_', '-')} {value.replace(':///', '://')}: expected a path on this machine"
    with pytest.raises(UserError, match=re.escape(named)):
        options(**{flag: Path(value)})


def test_a_saved_model_is_found_by_path_and_by_address_alike(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    nothing: Any = None
    for place in (str(tmp_path / "model"), (tmp_path / "model").as_uri()):
        name, folder = find_model(place, nothing, None)
        assert name == place and (folder / "config.json").is_file()
    with pytest.raises(UserError, match=r"--model nowhere://b/m cannot be read.*as for --storage"):
        find_model("nowhere://b/m", nothing, None)


@pytest.mark.parametrize(("flags", "noted"), [({}, True), ({"min_rating": 1.0}, False)])
def test_ratings_that_are_not_used_are_told(tmp_path: Path, flags: dict[str, Any], noted: bool) -> None:
    """A number that stands for "not rated" would be a hit like any other."""
    places = [(user, step) for user in range(20) for step in range(12)]
    rows = [f"u{user},i{(7 * user + 3 * step) % 31},{(4, -99)[step % 5 == 0]},{step}" for user, step in places]
    (tmp_path / "jokes.csv").write_text("\n".join(["user,item,rating,timestamp", *rows]) + "\n")
    report = prepare(DataRequest(dataset=str(tmp_path / "jokes.csv"), **flags), None, tmp_path).report
    assert any("ratings are not used, every row is a hit; --min-rating" in line for line in report) == noted
