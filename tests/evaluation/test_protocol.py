"""The evaluation protocol: what a request implies, and the text that travels with the numbers."""

import pytest

from unblur.data.request import DataRequest
from unblur.errors import UserError
from unblur.evaluation.protocol import VALIDATIONS, EvaluationProtocol
from unblur.experiments.options import EvaluateOptions

IMPLIED = [
    ({}, ("per_user_time", "70/20/10", "all", "train", "file")),
    ({"ratios": "80/20", "ties": "item"}, ("per_user_time", "80/20", "all", "train", "item")),
    ({"dataset": "mine.csv", "split": "global_time"}, ("global_time", "70/20/10", "all", "train", "hash")),
    ({"dataset": "beauty_5core"}, ("leave_one_out", None, "last", "train+valid", "hash")),
    ({"dataset": "beauty_5core", "split": "by_user"}, ("by_user", "80/10/10", "last", "train+valid", "hash")),
    ({"split": "global_time", "targets": "last"}, ("global_time", "70/20/10", "last", "train+valid", "file")),
    ({"split": "global_time", "targets": "first"}, ("global_time", "70/20/10", "first", "train+valid", "file")),
    ({"split": "global_time", "targets": "all"}, ("global_time", "70/20/10", "all", "train", "file")),
    ({"seen": "allowed"}, ("per_user_time", "70/20/10", "all", "train", "file")),
    ({"repeats": "keep"}, ("per_user_time", "70/20/10", "all", "train", "file")),
    ({"dataset": "diffrec_ml_1m_clean"}, ("given", None, "all", "train", "hash")),
]


@pytest.mark.parametrize(("request_", "expected"), IMPLIED)
def test_what_a_request_implies(request_, expected):
    found = EvaluateOptions(data=DataRequest(**request_)).protocol
    assert (found.split, found.ratios, found.targets, found.history, found.ties) == expected
    assert found.split in found.definition and f"{found.history} (test)" in found.definition


def test_every_choice_changes_the_text():
    protocols = [EvaluateOptions(data=DataRequest(**request)).protocol for request, _ in IMPLIED]
    protocols.append(EvaluationProtocol.of(DataRequest(), "train+valid"))
    assert len({protocol.definition for protocol in protocols}) == len({*protocols}) == len(protocols)


def test_targets_are_refused_where_the_split_has_its_own():
    with pytest.raises(UserError, match="--targets first has no meaning with the split leave_one_out, whose targets"):
        EvaluationProtocol.of(DataRequest(dataset="beauty_5core", targets="first"), "train")


def test_unknown_data_are_refused():
    with pytest.raises(UserError, match="unknown dataset"):
        EvaluationProtocol.of(DataRequest(dataset="nothing_like_it"), "train")


def test_what_a_search_selects_by_is_part_of_it_and_of_the_text():
    protocols = {name: EvaluationProtocol.of(DataRequest(), "train", name) for name in VALIDATIONS.names()}
    assert len({each.definition for each in protocols.values()}) == len(protocols) == 3
    assert "selected by validation gap: the validation part across a gap" in protocols["gap"].definition
    assert EvaluationProtocol.of(DataRequest(), "train") == protocols["given"]
    assert "validation" not in protocols["given"].model_dump(), "studies that select as ever keep their names"
    assert "validation" in protocols["last"].model_dump()
