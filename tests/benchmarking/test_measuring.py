"""How times become ratios, what is measured on, and how a peer is talked to."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from tests.helpers.synthetic import communities

from unblur.benchmarking import recbole, searching
from unblur.benchmarking.implementations import Ours, Products
from unblur.benchmarking.job import some_users
from unblur.benchmarking.speed import timings
from unblur.errors import RunFailed, UserError
from unblur.training import memory
from unblur.training.record import State
from unblur.training.report import Progress

SPLIT = communities(n_users=90)


def test_a_ratio_is_the_median_over_rounds_and_not_of_medians() -> None:
    found = timings({"ours": [1.0, 10.0, 2.0], "other": [2.0, 20.0, 8.0]})
    assert found["ours"].over_ours == 1
    assert found["other"].over_ours == 2  # 2, 2, 4; the medians would give 4
    assert found["other"].median == 8


def test_the_products_are_of_all_users_and_no_more() -> None:
    assert Products(n_users=95, n_items=10, hidden=4, batch_size=40).sizes == [40, 40, 15]


def test_some_users_are_spread_and_keep_their_rows() -> None:
    some = some_users(SPLIT, 10)
    assert some.n_users == 10 and some.n_items == SPLIT.n_items and some_users(SPLIT, 10_000) is SPLIT
    rows = [int(user) for user in some.users]
    assert rows[0] == 0 and rows[-1] == SPLIT.n_users - 1
    for part, whole in ((some.train, SPLIT.train), (some.valid, SPLIT.valid)):
        assert (part != whole[rows]).nnz == 0


def test_the_clock_leaves_out_the_start_up_and_keeps_what_lies_between(monkeypatch: pytest.MonkeyPatch) -> None:
    now: Iterator[float] = iter([100.0, 113.0, 120.0])  # made; the ends of two trials that trained for 5 s and 6 s
    monkeypatch.setattr(searching.time, "monotonic", lambda: next(now))
    clock = searching.Clock()
    for number, seconds in enumerate([5.0, 6.0]):
        clock.progressed(number, Progress(1, facts={"seconds": seconds}))
        clock.ended(number, State.COMPLETE, None)
    run = clock.run(concurrency=1)
    assert (run.start_up, run.seconds, run.training_seconds) == (8, 12, 11)
    assert run.per_hour == pytest.approx(600)


@pytest.mark.skipif(not memory.STATUS.exists(), reason="only Linux tells a process's peak memory")
def test_the_peak_stays_when_memory_is_given_back() -> None:
    before = memory.status_bytes("VmHWM")
    block = torch.ones(1 + before // 4)  # more than the peak until now
    taken = memory.status_bytes("VmRSS")
    del block
    assert taken > before and memory.status_bytes("VmHWM") > 0.99 * taken  # the kernel counts by and by
    assert memory.status_bytes("VmRSS") < taken


def test_recboles_files_hold_the_split_and_the_whole_catalogue(tmp_path: Path) -> None:
    recbole.write_data(SPLIT, tmp_path / "unblur")
    for name, part in (("train", SPLIT.train), ("valid", SPLIT.valid)):
        rows = np.loadtxt(tmp_path / "unblur" / f"unblur.{name}.inter", skiprows=1, dtype=np.int64)
        assert set(map(tuple, rows)) == set(zip(*part.nonzero(), strict=True))
    items = (tmp_path / "unblur" / "unblur.item").read_text().split()
    assert items == ["item_id:token", *map(str, range(SPLIT.n_items))]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that counts as made, with our own interpreter and a script in RecBole's place."""
    home = tmp_path / "recbole-1.2.1"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").symlink_to(sys.executable)
    (home / "complete").touch()
    script = tmp_path / "script.py"
    monkeypatch.setattr(recbole, "SCRIPT", script)
    return script


def stood_in(script: Path) -> recbole.Opened:
    return recbole.recbole(lambda folder: recbole.write_data(SPLIT, folder), {}, script.parent, Console(quiet=True))


def test_a_peer_is_asked_and_answers(stand_in: Path) -> None:
    stand_in.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        "    print(json.dumps({'seconds': 1.5, 'metrics': {'ndcg@10': len(asked)}}), flush=True)\n"
    )
    with stood_in(stand_in) as peer:
        peer.load(Ours(SPLIT, 4, 40).weights(), 5)
        assert peer.train_epoch() == 1.5
        assert peer.evaluate() == (1.5, {"ndcg_at_10": 1})


def test_a_peer_that_dies_ends_the_benchmark(stand_in: Path) -> None:
    stand_in.write_text("raise SystemExit(3)")
    with (
        pytest.raises(RunFailed, match="status 3"),
        stood_in(stand_in) as peer,
    ):
        peer.train_epoch()


def test_a_peer_that_cannot_be_installed_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recbole, "REQUIREMENTS", (str(tmp_path / "no-such-package.whl"),))
    monkeypatch.setattr(recbole.venv, "create", lambda home, **_: _fake(home))
    with pytest.raises(UserError, match=r"--peer recbole: pip could not install .*: it is gone.*--peer-cache"):
        recbole.environment(tmp_path, Console(quiet=True))
    assert not (tmp_path / "recbole-1.2.1" / "complete").exists()


def _fake(home: Path) -> None:
    """An interpreter whose pip fails."""
    python = home / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho it is gone >&2\nexit 1\n")
    python.chmod(0o755)


@pytest.mark.slow
def test_recbole_gives_the_same_metrics_for_the_same_weights() -> None:
    cache = Path("~/.cache/unblur/peers").expanduser()
    if not (cache / "recbole-1.2.1" / "complete").exists():
        pytest.skip("jobs/benchmark.py --peer recbole has not made RecBole's environment yet")
    ours = Ours(SPLIT, 8, 40)
    for _ in range(3):
        ours.train_epoch()
    weights = ours.weights()
    sizes = {"model": "DiffRec", "dim": 8, "batch_size": 40, "threads": 1}
    with recbole.recbole(lambda folder: recbole.write_data(SPLIT, folder), sizes, cache, Console(quiet=True)) as peer:
        for steps in (2, 5):  # RecBole's DiffRec cannot be built with one step
            ours.load(weights, steps)
            peer.load(weights, steps)
            theirs, mine = peer.evaluate()[1], ours.evaluate()[1]
            assert len(theirs) == 16 and theirs == pytest.approx({name: mine[name] for name in theirs}, abs=1e-9)


def test_the_script_for_recboles_interpreter_asks_for_nothing_of_ours() -> None:
    script = Path(recbole.__file__).with_name("recbole_peer.py").read_text()
    assert "unblur." not in script.replace('"unblur/unblur.item"', "")
    assert json.dumps("unblur") in script  # the data set that `write_data` writes
