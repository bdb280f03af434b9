"""Whose fault a failure was, and what the scheduler makes of it: no Ray is needed for that."""

from pathlib import Path

import pytest
from tests.helpers.toy_study import identity, trials

from unblur.running.retries import AGAIN, Fault, fault_of
from unblur.running.scheduler import TrialScheduler
from unblur.running.work import Listener
from unblur.search.storage import local_url
from unblur.search.study import Study
from unblur.training.report import Finished, Progress

DEATH = (
    "The actor died unexpectedly before finishing this task.\nThe actor is dead because its worker process has died."
)
NODE = "The actor d2 is unavailable: RpcError: Socket closed. The task may or may not have been executed on the actor."


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ray::ImplicitFunc.train()\nRuntimeError: boom", "code"),
        (DEATH, "process"),
        (NODE, "node"),
        ("The actor is dead because its node has died. Node Id: 3f", "node"),
        (
            "Training failed due to worker errors:\n[Rank 1] ActorDiedError\n[Rank 0] RuntimeError: reset by peer",
            "process",
        ),
    ],
)
def test_fault(text: str, fault: Fault) -> None:
    assert fault_of(text) == fault


def test_each_kind_of_fault_has_a_budget_of_its_own(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    told: list[tuple[int, Fault]] = []

    class Ear(Listener):
        def again(self, number: int, fault: Fault) -> None:
            told.append((number, fault))

    scheduler = TrialScheduler(trials(study, 1), 1, [Ear()])
    first = scheduler.next()
    assert first is not None and scheduler.next() is None
    faults: list[Fault] = ["node"] * 10 + ["process"] * AGAIN["process"] + ["code"] * AGAIN["code"]
    for fault in faults:
        scheduler.crashed(0, "gone", fault)
        assert not scheduler.over and scheduler.next() == first, "the same number, parameters and seed"
        assert scheduler.next() is None
    scheduler.crashed(0, "boom\ntraceback", "code")
    assert scheduler.over and [(r.state, r.reason) for r in study.records()] == [("failed", "boom\ntraceback")]
    assert told == [(0, fault) for fault in faults], "the last time it was not begun again"


def test_what_dies_while_the_search_is_stopped_is_interrupted_and_not_failed(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    scheduler = TrialScheduler(trials(study, 1), 1)
    scheduler.next()
    scheduler.stopping = True
    for _ in range(1 + AGAIN["process"]):
        scheduler.crashed(0, "gone", "process")
    assert scheduler.over and [record.state for record in study.records()] == ["running"]


def test_a_trial_keeps_its_place_until_its_function_has_returned(tmp_path: Path) -> None:
    scheduler = TrialScheduler(trials(Study.open(identity(), local_url(tmp_path)), 4), 1)

    def ended(number: int) -> bool:
        return scheduler.report(number, Progress(1, {"ndcg_at_10": 0.1})) or scheduler.report(number, Finished())

    scheduler.next()
    assert not ended(0)
    assert scheduler.next() is None
    scheduler.returned(0)
    assert scheduler.next() is not None
    ended(1)
    scheduler.crashed(1, "gone", "process")
    assert scheduler.next() is not None
    ended(2)
    scheduler.hangs(2, 1)
    assert scheduler.next() is not None
    ended(3)
    assert scheduler.over, "the last one's return is not waited for"
