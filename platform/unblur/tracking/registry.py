"""The model registry: the best model of a study goes in as code and safetensors, and comes out again by its name."""

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unblur import models
from unblur.errors import UserError
from unblur.models.serving import ServedModel
from unblur.tracking import model_package, names
from unblur.tracking.client import Store, local_path
from unblur.tracking.delivery import patiently
from unblur.tracking.model_package import PerUser, digest
from unblur.tracking.runs import text
from unblur.tracking.versions import New, create

ALIAS, CHAMPION, REFIT = "candidate", "champion", "refit"
MANIFEST = "MLmodel"
"""The file that every model of MLflow has."""
PATIENCE_SECONDS = 90  # a server that is away for a minute does not lose the model of a long search


@dataclass(frozen=True)
class Registered:
    """A registered model, fetched: what `Model.save` wrote, the catalogue, and the tags of its version."""

    uri: str
    folder: Path
    items: list[str]
    tags: dict[str, str]
    per_user: PerUser | None
    """Metrics of each user on validation, means over the seeds; None where they were not registered."""
    version: str
    """`models:/NAME/VERSION`, however it was asked for."""
    run_id: str
    """Of its study's parent run."""
    package: Path
    """The folder that MLflow calls the model."""


@dataclass(frozen=True)
class Version:
    """A registered model by its version; its files may be anywhere, or gone."""

    uri: str
    tags: dict[str, str]


def name_of(dataset: str) -> str:
    """`unblur-<dataset>`, without the characters that the registry refuses."""
    return "unblur-" + re.sub(r"[^\w.-]+", "_", dataset)


def register(
    store: Store,
    folder: Path,
    dataset: str,
    items: Sequence[str],
    parent_run_id: str,
    tags: Mapping[str, Any],
    per_user: Callable[[], PerUser],
    final: int | None,
    description: str,
    alias: str = ALIAS,
) -> str:
    """Log the model that was saved in `folder` on the parent run, register it by an alias; returns its URI.

    items: raw ids by column. per_user: finds what `Registered` has of it, for a version that is not there yet. final:
    number of the final run that it is from, if any, whose metrics it gets. description: of the version, in Markdown.
    The same model of the same study is registered once, however often this is called. Raises UserError, for instance
    when MLflow stays away.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no model; the same command trains it again")
    name, marks = name_of(dataset), {key: text(value) for key, value in tags.items()}
    marks |= {names.DATASET: dataset, names.WEIGHTS: digest(folder)}
    with store.explained():
        study = patiently(lambda: store.client.get_run(parent_run_id), PATIENCE_SECONDS)
        marks[names.STUDY] = study.data.tags[names.STUDY]
        version = patiently(lambda: _find(store, name, marks), PATIENCE_SECONDS)
        if version is None:
            new = New(folder, [str(item) for item in items], per_user(), marks, final, description)
            version = patiently(lambda: _find(store, name, marks) or create(store, name, new, study), PATIENCE_SECONDS)
        patiently(lambda: _set_alias(store, name, version, alias), PATIENCE_SECONDS)
    return f"models:/{name}/{version}"


def load_registered(store: Store, model: str) -> Registered:
    """Fetch a registered model without running any of its code.

    model: a dataset's name (its champion), `models:/NAME@ALIAS` or `models:/NAME/VERSION`. Its files stay
    where they are when they are on this machine, and go to a temporary folder otherwise.
    """
    uri = model if model.startswith("models:/") else f"models:/{name_of(model)}@{CHAMPION}"
    version = _version(store, uri)
    root = _files(store, version)
    if digest(root) != version.tags.get(names.CONTENT):
        raise UserError(
            f"{_named(version)}: the files at {root} are not those that were registered; {_without(store, version)}"
        )
    artifacts = root / "artifacts"
    items = json.loads((artifacts / "items.json").read_text())
    per_user = model_package.per_user(root)
    place = f"models:/{version.name}/{version.version}"
    return Registered(uri, artifacts / "recommender", items, dict(version.tags), per_user, place, version.run_id, root)


def served(store: Store, model: str) -> ServedModel:
    """A registered model that answers histories of raw item ids; `model` as in `load_registered`."""
    registered = load_registered(store, model)
    return ServedModel(models.load(registered.folder), registered.items)


def version_of(store: Store, uri: str) -> Version:
    """The version that `models:/NAME/VERSION` or `models:/NAME@ALIAS` means; UserError when there is none."""
    return Version(uri, dict(_version(store, uri).tags))


def champion_of(store: Store, dataset: str) -> Version | None:
    """The dataset's champion; None when there is none yet."""
    name = name_of(dataset)
    with store.explained():
        known = patiently(lambda: store.client.search_registered_models(f"name = '{name}'"), PATIENCE_SECONDS)
    version = next((model.aliases[CHAMPION] for model in known if CHAMPION in model.aliases), None)
    return version_of(store, f"models:/{name}/{version}") if version else None


def challenge_number(store: Store, uri: str) -> int:
    """Which challenge of its dataset's champion the version `models:/NAME/VERSION` is, from 1 on; it stays that one.

    The registered model keeps the count, so that versions that are deleted count too.
    """
    name, version = uri.removeprefix("models:/").split("/")
    client = store.client
    with store.explained():
        own = patiently(lambda: client.get_model_version(name, version), PATIENCE_SECONDS).tags
        before = int(
            patiently(lambda: client.get_registered_model(name), PATIENCE_SECONDS).tags.get(names.CHALLENGE, 0)
        )
        number = int(own.get(names.CHALLENGE, before + 1))
        # the version's first: a driver that dies in between counts it once
        patiently(lambda: client.set_model_version_tag(name, version, names.CHALLENGE, number), PATIENCE_SECONDS)
        count = max(before, number)
        patiently(lambda: client.set_registered_model_tag(name, names.CHALLENGE, count), PATIENCE_SECONDS)
    return number


def decide(store: Store, uri: str, said: str, crowned: bool) -> None:
    """Keep on the version `models:/NAME/VERSION` what was decided about it, and make it the champion if it is."""
    name, version = uri.removeprefix("models:/").split("/")
    with store.explained():
        if crowned:
            patiently(lambda: store.client.set_registered_model_alias(name, CHAMPION, version), PATIENCE_SECONDS)
        # last: who finds it finds the alias too
        patiently(lambda: store.client.set_model_version_tag(name, version, names.CHAMPION, said), PATIENCE_SECONDS)


def _version(store: Store, uri: str) -> Any:
    """The version of a registered model that a URI means."""
    if not (parts := re.fullmatch(r"models:/([^@/]+)([@/])([^@/]+)", uri)):
        raise UserError(f"{uri} is no registered model: expected models:/NAME@ALIAS or models:/NAME/VERSION")
    name, mark, which = parts.groups()
    with store.explained():
        try:
            get = store.client.get_model_version_by_alias if mark == "@" else store.client.get_model_version
            return get(name, which)
        except Exception as error:
            if getattr(error, "error_code", "") not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                raise
            raise UserError(
                f"MLflow at {store.address} has no registered model {uri}: a finished search registers one "
                "(unblur tune), and --tracking-uri says where to look."
            ) from None


def _files(store: Store, version: Any) -> Path:
    """The folder of a version's files, fetched if they are elsewhere; UserError, with the way out, if they are gone."""
    with store.explained():
        # by its place: for models:/ URIs MLflow asks the global tracking URI, whatever it is given
        place = store.client.get_logged_model(version.source.removeprefix("models:/")).artifact_location
        path = local_path(place)
        root = path or _fetched(store, place)
    if root is None or not (root / MANIFEST).is_file():
        where = shlex.quote(str(path or place))
        moved = f"put them back, or leave a link there (ln -s NEW {where})" if path else "put them back"
        raise UserError(
            f"{_named(version)}: its files are not at {path or place}. If they were moved, {moved}; if they are lost, "
            f"{_without(store, version)}"
        )
    return root


def _fetched(store: Store, place: str) -> Path | None:
    """A copy of the files at an artifact's location; None where there are none."""
    from mlflow.artifacts import download_artifacts, list_artifacts

    if MANIFEST not in {Path(each.path).name for each in list_artifacts(place, tracking_uri=store.uri)}:
        return None
    return Path(download_artifacts(place, tracking_uri=store.uri))


def _named(version: Any) -> str:
    return f"models:/{version.name}/{version.version} ({version.tags.get(names.MODEL, 'unknown')})"


def _without(store: Store, version: Any) -> str:
    """How to go on without a version whose files are gone."""
    code = (
        f"import mlflow; mlflow.MlflowClient({json.dumps(store.address)}).delete_registered_model_alias"
        f"({json.dumps(version.name)}, {json.dumps(CHAMPION)})"
    )
    command = shlex.join(["python", "-c", code])
    return f"name another with --model, or, if it is the champion, take that alias from it: {command}"


def _find(store: Store, name: str, marks: Mapping[str, str]) -> str | None:
    """The version that this study registered with these weights."""
    wanted = f"name = '{name}' and tags.`{names.STUDY}` = '{marks[names.STUDY]}'"
    found = store.client.search_model_versions(wanted)
    same = [each for each in found if each.tags.get(names.WEIGHTS) == marks[names.WEIGHTS]]
    return str(same[0].version) if same else None


def _set_alias(store: Store, name: str, version: str, alias: str) -> None:
    """The alias follows the newest version; a repeated registration of an older one leaves it where it is."""
    present = store.client.get_registered_model(name).aliases.get(alias, "0")
    if int(version) > int(present):
        store.client.set_registered_model_alias(name, alias, version)
