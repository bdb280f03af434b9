"""Which runs a report is made of, and in how few requests."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.helpers.made_studies import TOYS, Made, multiply_trials, write_study
from tests.helpers.mlflow_pages import served

from unblur.data import openings
from unblur.data.prepare import digest_of
from unblur.data.prepared_folder import folder_of
from unblur.data.store import Facts
from unblur.errors import UserError
from unblur.experiments.namesakes import namesakes
from unblur.experiments.recording import Recorder
from unblur.reporting.loading import _trial, load, with_openings
from unblur.reporting.page import to_html
from unblur.reporting.report import build
from unblur.reporting.runs import StudyRuns, Trial
from unblur.running.resources import Resources
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.reader import Found, Reader, existing_store
from unblur.tracking.runs import LoggedDataset
from unblur.tracking.tracker import Tracker
from unblur.training.record import State
from unblur.training.report import Progress

NewStore = Callable[[Sequence[Made]], Store]


class Counting:
    """Passes calls on and counts them, those to the store below the client too."""

    def __init__(self, inner: Any, calls: list[str]) -> None:
        self._inner, self._calls = inner, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return Counting(found, self._calls)

        def call(*arguments: Any, **named: Any) -> Any:
            self._calls.append(name)
            return found(*arguments, **named)

        return call


def test_a_thousand_trials_take_a_handful_of_requests(new_store: NewStore, tmp_path: Path) -> None:
    store = new_store([Made("ease", 0.02, trials=1)])
    run_id = write_study(store, Made("cfg_diffrec", 0.05, trials=10), tmp_path)
    multiply_trials(store, run_id, 99)
    calls: list[str] = []
    evidence = load(Reader(replace(store, client=Counting(store.client, calls))), "amazon_toys", "clean")
    numbers = [trial.number for trial in next(s for s in evidence.studies if s.model == "cfg_diffrec").trials]
    assert numbers == list(range(1000))
    assert len(calls) <= 18, calls
    assert len(to_html(build(evidence))) < 1_000_000


def test_the_time_of_a_trial_is_what_it_trained_not_what_passed() -> None:
    """88 s of training, of which a stop of 40 minutes kept the rest."""
    tags, metrics = {names.NUMBER: "0"}, {names.FACTS["seconds"]: 88.0}
    run = Found("id", "trial 0000", "FINISHED", 0.0, 2580.0, {}, metrics, tags, "toys", {})
    assert _trial(run, {}, "ndcg_at_10").seconds == 88.0
    assert _trial(replace(run, metrics={}), {}, "ndcg_at_10").seconds == 2580.0


def test_what_trials_share_belongs_to_the_time_of_the_search() -> None:
    """A blend's trained parts, made before its trials."""
    run = Found(
        "id",
        "study",
        "FINISHED",
        0.0,
        9.0,
        {},
        {names.artefacts("trial", names.FACTS["seconds"]): 40.0},
        {},
        "toys",
        {},
    )
    trials = [Trial(number, State.COMPLETE, {}, 0.1, seconds=2.0) for number in range(3)]
    study = StudyRuns("blend", run, "ndcg_at_10", trials)
    assert (study.search_seconds(), study.final_seconds()) == (46.0, 0.0)


def test_a_trial_is_worth_its_best_epoch(toys: Store) -> None:
    study = next(s for s in load(Reader(toys), "amazon_toys", "clean").studies if s.model == "diffrec")
    for trial in study.trials:
        assert trial.value is not None and trial.value > 0.14  # the last epoch's is half of it
    assert {trial.state for trial in study.trials} == {"complete", "pruned"}
    assert study.trials[0].params["dims"] == [200] and study.trials[0].params["embedding_dim"] == 16


def test_the_openings_of_the_test_set_are_counted(new_store: NewStore, tmp_path: Path) -> None:
    known = {"unblur.test_openings": {"ease, 3 seeds": 2}}
    evidence = load(Reader(new_store([Made("ease", 0.01, tags=known)])), "amazon_toys", "clean")
    said = build(with_openings(evidence, str(tmp_path))).reservations
    assert "The test set of these data was opened 2 times: ease, 3 seeds (2)." in said
    folder = folder_of(tmp_path, evidence.digest)
    folder.mkdir(parents=True)
    for why in ["ease, 3 seeds"] * 2 + ["evaluate"]:
        openings.append(folder, why)
    said = build(with_openings(evidence, str(tmp_path))).reservations
    assert "The test set of these data was opened 3 times: ease, 3 seeds (2), evaluate." in said


def test_only_what_had_the_same_data_and_history_is_compared(new_store: NewStore) -> None:
    other = LoggedDataset("amazon_toys", "cd" * 32, {})
    store = new_store(
        [
            Made("diffrec", 0.05, trials=0),
            Made("ease", 0.01, trials=1),
            Made("ease", 0.3, trials=1, history="train+valid"),
            Made("multi_vae", 0.3, trials=1, dataset=other),
            Made("lightgcn", 0.3, trials=1, finished=False),
        ]
    )
    evidence = load(Reader(store), "amazon_toys", "clean")
    assert sorted(study.model for study in evidence.studies) == ["diffrec", "ease"]
    assert all(study.history == "train" for study in evidence.studies)
    notes = " ".join(evidence.notes)
    assert "ease with history train+valid" in notes and "multi_vae with history train on data cdcdcdcd" in notes
    assert "Not finished: lightgcn" in notes


def test_the_newest_study_of_a_model_counts(new_store: NewStore) -> None:
    """Newer than the search, a training without one does not replace it."""
    store = new_store([Made("ease", 0.0, trials=1), Made("ease", 0.1, trials=2), Made("ease", 0.2, trials=0)])
    (study,) = load(Reader(store), "amazon_toys", "clean").studies
    assert len(study.trials) == 2
    report = build(load(Reader(store), "amazon_toys", "clean"))
    assert "only ease has been tested" in report.verdict[0]
    assert "ease" in to_html(report)


def test_other_studies_of_a_model_on_the_same_data_are_listed(new_store: NewStore) -> None:
    other = Made("ease", 0.3, dataset=LoggedDataset("amazon_toys", "cd" * 32, {}))
    store = new_store([other, Made("ease", 0.0), Made("ease", 0.1, trials=0, seeds=1), Made("ease", 0.2)])
    (note,) = [each for each in load(Reader(store), "amazon_toys", "clean").notes if "other studies" in each]
    assert note.startswith("ease was tested on these data in other studies too: a search of 20")
    assert "; a given configuration of 20" in note and note.count("nDCG@10 0.") == 2


def test_the_report_tells_whose_winner_was_a_starting_configuration(new_store: NewStore) -> None:
    """The tested configuration of all of them is that of trial 1."""
    made = [Made("ease", 0.0, tags={"unblur.starts": "1"}), Made("diffrec", 0.1, tags={"unblur.starts": "2"})]
    made += [Made("multi_dae", 0.1), Made("lightgcn", 0.2, trials=0)]
    said = build(load(Reader(new_store(made)), "amazon_toys", "clean")).reservations
    told = "a starting configuration of its space: diffrec; found by the search: ease; of unknown origin: multi_dae"
    assert f"The tested configuration was {told}." in said


def test_without_per_user_results(new_store: NewStore) -> None:
    store = new_store([Made("ease", 0.0, per_user=False), Made("diffrec", 0.1, seeds=1, per_user=False)])
    report = build(load(Reader(store), "amazon_toys", "clean"))
    assert "diffrec is ahead, untested" in report.verdict[0]
    assert any("ease has no per-user results" in each for each in report.reservations)
    assert to_html(report)


def test_nothing_to_report(new_store: NewStore, tmp_path: Path) -> None:
    store = new_store([Made("ease", 0.0, trials=1, finished=False)])
    with pytest.raises(UserError, match=r"no study of amazon_toys/clean is finished.*ease \(running\)"):
        load(Reader(store), "amazon_toys", "clean")
    with pytest.raises(UserError, match=r"no experiment 'sample/clean'.*It has: amazon_toys/clean"):
        load(Reader(store), "sample", "clean")
    with pytest.raises(UserError, match="It has none"):
        load(Reader(new_store([])), "sample", "clean")
    with pytest.raises(UserError, match=r"there is no MLflow database .*absent\.db"):
        existing_store(f"sqlite:///{tmp_path}/absent.db")
    assert not (tmp_path / "absent.db").exists()


@pytest.fixture(scope="session")
def ratings(new_store: NewStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    """Studies of in/a/ratings.csv and in/b/ratings.csv, and of a file that is called as a preset is, and of that."""
    folder = tmp_path_factory.mktemp("in")
    made = []
    for place, model in (("a/ratings", "ease"), ("b/ratings", "item_knn"), ("sample", "slim")):
        file = folder / f"{place}.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"user,item\n{place},x\n")
        facts = {"source_digest": digest_of((file,))}
        made.append((file, LoggedDataset(file.stem, facts["source_digest"][:8] * 8, facts), model))
    made.append((Path("sample"), LoggedDataset("sample", "cd" * 32, {"source_digest": digest_of(())}), "bspm"))
    store = new_store([])
    for file, dataset, model in made:
        asked = {names.DATA_REQUEST: {"dataset": str(file)}}
        study = Made(model, 0.02, trials=1, seeds=1, dataset=dataset, begun=asked)
        write_study(store, study, folder / model, f"{dataset.name}/clean")
    return store, folder


@pytest.mark.parametrize(
    ("dataset", "models"),
    [("a/ratings.csv", ["ease"]), ("b/ratings.csv", ["item_knn"]), ("sample.csv", ["slim"]), ("", ["bspm"])],
)
def test_two_files_of_one_name_have_a_report_each(ratings: tuple[Store, Path], dataset: str, models: list[str]) -> None:
    store, folder = ratings
    evidence = load(Reader(store), str(folder / dataset) if dataset else "sample", "clean")
    assert [study.model for study in evidence.studies] == models
    assert any("of other data with the same name" in note for note in evidence.notes)


def test_a_file_that_nobody_searched_gets_no_other_files_report(ratings: tuple[Store, Path], tmp_path: Path) -> None:
    store, folder = ratings
    (tmp_path / "ratings.csv").write_text("user,item\nc,x\n")
    with pytest.raises(UserError, match=f"ratings.csv is there.*of other data, {folder}/a/ratings.csv .digest"):
        load(Reader(store), str(tmp_path / "ratings.csv"), "clean")


def test_the_second_file_of_a_name_is_told_at_its_start(ratings: tuple[Store, Path]) -> None:
    store, folder = ratings
    facts = Facts(users=1, items=1, train=1, valid=1, test=1, has_order=True, has_ratings=False, source_digest="new")
    data: Any = SimpleNamespace(experiment="ratings/clean", facts=facts)
    told = namesakes(store, data) or ""
    assert f"{folder}/a/ratings.csv (sha256" in told and f"{folder}/b/ratings.csv (sha256" in told
    assert namesakes(store, SimpleNamespace(experiment="others/clean", facts=facts)) is None  # type: ignore[arg-type]


def test_the_same_through_a_server(toys: Store, tmp_path: Path) -> None:
    """Histories and artifacts come over HTTP as they come from the database."""
    here = load(Reader(toys), "amazon_toys", "clean")
    with served(toys, tmp_path) as uri:
        there = load(Reader(existing_store(uri)), "amazon_toys", "clean")
    assert [study.trials for study in there.studies] == [study.trials for study in here.studies]
    for mine, other in zip(here.studies, there.studies, strict=True):
        assert mine.per_user is not None and other.per_user is not None
        assert mine.per_user.equals(other.per_user)


def test_the_settings_of_inference_are_those_of_the_best_evaluation(new_store: NewStore) -> None:
    store = new_store([Made("cfg_diffrec", 0.05, trials=1)])
    before = load(Reader(store), "amazon_toys", "clean").studies[0]
    tracker = Tracker(store, "amazon_toys/clean")
    tracker.open_study(before.run.tags["unblur.study"], before.run.name, {}, {}, TOYS)
    recorder = Recorder(tracker, "trial", "ndcg_at_10", Resources())
    for epoch, scale, sampler in ((15, 1.0, "ddim"), (20, 2.0, "posterior_mean"), (25, 2.0, "posterior_mean")):
        recorder.progressed(0, Progress(epoch, inference={"guidance_scale": scale, "sampler": sampler}))
    recorder.ended(0, State.COMPLETE, None)
    tracker.finish({}, {})
    assert tracker.close() is None
    trial = load(Reader(store), "amazon_toys", "clean").studies[0].trials[0]
    assert trial.inference == {"guidance_scale": 2.0, "sampler": "posterior_mean"}
    assert trial.settings == {**before.trials[0].params, **trial.inference}


def test_models_that_were_selected_otherwise_are_not_compared(new_store: NewStore) -> None:
    across = {names.VALIDATION: "gap"}
    store = new_store([Made("ease", 0.01), Made("slist", 0.02, begun=across), Made("diffrec", 0.0, begun=across)])
    evidence = load(Reader(store), "amazon_toys", "clean")
    assert {study.model for study in evidence.studies} == {"diffrec", "slist"}
    (note,) = [each for each in evidence.notes if each.startswith("Left out: ease")]
    assert note.endswith("because the others have history train on data abababab, selected by validation gap.")
    (table,) = [t for section in build(evidence).sections for t in section.tables if t.title == "What the numbers mean"]
    told = dict(map(tuple, table.rows))
    assert told["what nobody can know"].startswith("22.0% of the validation interactions are of items that nobody has")
    (selection,) = [row[1] for row in table.rows if row[0] == "selection"]
    assert "on validation (gap: The validation part across a gap" in selection
