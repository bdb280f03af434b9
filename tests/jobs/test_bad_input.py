"""Every mistake of a user's ends with a message that says what to do, within seconds, before anything is begun."""

import socket
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.helpers.jobs import here

from unblur.data.request import DataRequest
from unblur.documents import configured
from unblur.errors import RunFailed, UserError
from unblur.experiments.options import SearchOptions, TrainOptions
from unblur.experiments.train import train
from unblur.experiments.tune import tune
from unblur.models.base import ModelConfig


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(message: str, data: dict[str, Any] | None = None, **options: Any) -> None:
    with pytest.raises(UserError, match=message):
        tune(SearchOptions(data=DataRequest(**(data or {})), **options), Console(quiet=True))
    assert not Path("unblur-runs/study.db").exists()


@pytest.mark.parametrize(
    ("message", "data", "options"),
    [
        ("unknown dataset 'amazon_toyz'.*Did you mean 'amazon_toys'", {"dataset": "amazon_toyz"}, {}),
        ("nowhere.csv", {"dataset": "nowhere.csv"}, {}),
        ("unknown model 'cfg_difrec'.*Did you mean 'cfg_diffrec'", {}, {"model": "cfg_difrec"}),
        ("unknown metric 'ndgc@10'.*Did you mean 'ndcg@10'", {}, {"metric": "ndgc@10"}),
        ("protocol-share", {"protocol": "noisy_random"}, {}),
        ("--storage /proc/unblur cannot be written", {}, {"storage": "/proc/unblur"}),
        ("--tracking-uri", {}, {"tracking_uri": "file:///tmp/mlruns"}),
        ("missing.yaml", {}, {"search_space": Path("missing.yaml")}),
        ("--study-url", {}, {"study_url": "mysql://user:secret@host/db"}),
        ("--summary /proc/s/s.json cannot be written", {}, {"summary": Path("/proc/s/s.json")}),
        ("--trials = 0: .* greater than or equal to 1", {}, {"trials": 0}),
        ("--eval-every = 0: .*; --metric = 5: .*string", {}, {"eval_every": 0, "metric": 5}),
        ("unknown flag '--epoch'.*Did you mean '--epochs'", {}, {"epoch": 5}),
    ],
)
def test_refused(message: str, data: dict[str, Any], options: dict[str, Any]) -> None:
    refused(message, data, **options)


def test_a_closed_mlflow_port_is_named_and_a_password_is_not() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        port = taken.getsockname()[1]
        with pytest.raises(UserError) as refusal:
            options = SearchOptions(tracking_uri=f"http://someone:secret@127.0.0.1:{port}")
            tune(options, Console(quiet=True))
    assert f"127.0.0.1:{port}" in str(refusal.value) and "--tracking-uri" in str(refusal.value)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model: cfg_diffrec\nparameters: {lrr: {type: float, low: 0.1, high: 1}}", "bad.yaml:2.*'lrr'.*'lr'"),
        ("model: cfg_diffrec\nparameters: {lr: {type: float, low: 1, high: 0.1}}", "the wrong way round"),
        ("model: cfg_diffrec\nparameters: {T: {type: int, low: 3, high: 3}}", "the range is empty"),
        ("model: cfg_diffrec\nparameters: {t_prime_share: {type: float, low: 0, high: 1.5}}", "T' = "),
        (
            "model: cfg_diffrec\nparameters: {noise_min: {type: float, low: 0.1, high: 0.9},"
            " noise_max: {type: float, low: 0.5, high: 0.95}}",
            "noise_min = 0.9 must be below noise_max = 0.5",
        ),
        ("model: diffrec\nparameters: {lr: {type: float, low: 0.1, high: 1}}", "--model diffrec"),
    ],
)
def test_search_spaces_that_cannot_work(content: str, message: str) -> None:
    Path("bad.yaml").write_text(content)
    refused(message, search_space=Path("bad.yaml"))


def test_resources_that_no_node_can_give(local_ray: None) -> None:
    with pytest.raises(UserError, match=r"64 workers x 100 CPUs = 6400 CPUs"):
        tune(SearchOptions(workers_per_trial=64, cpus_per_worker=100, dry_run=True), Console(quiet=True))


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("lr", "expected name=value"),
        ("dims=[1", "is no value"),
        ("T=0", r"--set T: Input .* \(found 0\)"),
        ("loss=mse", r"--set loss: .* \(found 'mse'\)"),
    ],
)
def test_set(assignment: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(TrainOptions(set=[assignment]), Console(quiet=True))


@pytest.mark.parametrize("name", ["dislike_weight", "triplet_weight"])
def test_dislikes_that_the_data_do_not_know(name: str) -> None:
    with pytest.raises(UserError, match=rf"{name} = 0.5 needs ratings too low for a hit.*--min-rating 4"):
        train(TrainOptions(model="diffrec", set=[f"{name}=0.5"]), Console(quiet=True))
    assert not list(Path("unblur-runs").rglob("outcome.json"))


def test_a_search_without_dislikes_says_that_their_weights_are_zero(local_ray: None) -> None:
    Path("rated.yaml").write_text(
        "model: diffrec\nparameters: {lr: {type: float, low: 0.01, high: 0.1},"
        " triplet_weight: {type: float, low: 0.0, high: 1.0}}\nenqueue: [{lr: 0.05, triplet_weight: 0.5}]"
    )
    console = Console(record=True, width=300)
    tune(SearchOptions(model="diffrec", search_space=Path("rated.yaml"), dry_run=True), console)
    assert "the data know no ratings too low for a hit: triplet_weight=0.0 fixed" in console.export_text()


@pytest.mark.parametrize("content", ["- 1", "lr: [", "\x00", "3"])
def test_a_config_file_that_is_none(content: str) -> None:
    Path("c.yaml").write_text(content)
    with pytest.raises(UserError, match=r"c\.yaml"):
        configured(ModelConfig, [], Path("c.yaml"))


@pytest.mark.parametrize("flags", [["--trials", "0"], ["--no-such-flag"]])
def test_a_wrong_flag_is_one_message(flags: list[str], tmp_path: Path) -> None:
    done = here(tmp_path, "tune", *flags)
    assert done.returncode == 2
    assert flags[0] in done.stderr


def test_a_search_in_which_every_trial_fails_says_why(local_ray: None, data_flags: list[str]) -> None:
    Path("diverges.yaml").write_text(
        "model: diffrec\nparameters: {lr: {type: float, low: 1.0e+30, high: 1.0e+31}}\nfixed: {dims: [8]}"
    )
    options = SearchOptions(
        data=DataRequest(dataset=data_flags[1], user_column="listener", item_column="track", time_column="played_at"),
        model="diffrec",
        search_space=Path("diverges.yaml"),
        trials=2,
        epochs=5,
    )
    with pytest.raises(RunFailed, match="no trial was completed \\(2 failed\\)"):
        tune(options, Console(quiet=True))
