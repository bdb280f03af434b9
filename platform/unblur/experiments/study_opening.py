"""A search's study at its start: what it is, opened, and held against what MLflow knows of it."""

from rich.console import Console

from unblur.errors import UserError
from unblur.experiments.artefacts import addresses, needed
from unblur.experiments.context import Session
from unblur.experiments.forecast import sampled
from unblur.experiments.prepared import PreparedData
from unblur.experiments.storage_id import storage_id
from unblur.models import config_class
from unblur.search.identity import StudyIdentity, left_to_defaults
from unblur.search.space import Parameter, SearchSpace
from unblur.search.sqlite_file import backup_of
from unblur.search.storage import file_of, shown
from unblur.search.study import Study
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.reader import Found, Reader
from unblur.tracking.tracker import Tracker


def identity_of(
    session: Session,
    model: str,
    space: SearchSpace,
    swept: dict[str, Parameter] | None = None,
    validation_users: int | None = None,
) -> StudyIdentity:
    """All that makes two searches of a model in this session the same search."""
    request, schedule = session.data.request, session.schedule
    return StudyIdentity(
        dataset=session.data.digest,
        protocol=request.protocol,
        evaluation=session.data.protocol,
        model=model,
        space=space,
        swept=swept or {},
        metric=schedule.metric,
        epochs=schedule.epochs,
        eval_every=schedule.eval_every,
        patience=schedule.patience,
        defaults=left_to_defaults(space, config_class(model)),
        validation_users=validation_users,
        artefacts=addresses(needed(model, sampled(space)), session.data.selection.digest, session.options.seed),
        seed=session.options.seed,
    )


def open_study(session: Session, identity: StudyIdentity, url: str, fresh: bool, console: Console) -> Study:
    """Open or create the study; UserError when MLflow knows trials of it and its database has none."""
    store, data = session.store, session.data
    study = Study.open(identity, url, fresh, lambda name: bool(_runs(store, data, name, {})))
    if study.apart:
        console.print(study.apart, markup=False)
    # a trial is in the study before it is there
    if not study.records() and (lost := len(_runs(store, data, study.name, {names.KIND: "trial"}))):
        file = file_of(url)
        copy = f" (cp {backup_of(file)} {file})" if file and backup_of(file).exists() else ""
        raise UserError(
            f"MLflow at {store.address} knows {lost} trials of the study {study.name}, and {shown(url)} has none: "
            f"restore a copy of the database{copy}, or begin another study with --fresh"
        )
    return study


def agree(tracker: Tracker, study: Study, console: Console) -> None:
    """Set the trials aside in MLflow that the study's database has lost: their numbers are given again."""
    if lost := tracker.numbers("trial") - {record.number for record in study.records()}:
        text = f"MLflow knows {len(lost)} trials that the study has not, as of an older copy: they are set aside there"
        console.print(text, markup=False)
        tracker.supersede("trial", lost)


def tracked(study: str, data: PreparedData) -> str:
    """The name by which MLflow knows a study: the same search on other data or in another storage is another one."""
    return f"{study}-{data.digest[:8]}-{storage_id(data.root)}"


def _runs(store: Store, data: PreparedData, study: str, tags: dict[str, str]) -> list[Found]:
    return Reader(store).runs(store.experiment(data.experiment), {names.STUDY: tracked(study, data), **tags})
