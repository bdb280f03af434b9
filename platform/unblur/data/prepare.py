"""From a request to prepared data: find or download, read, filter, split, change by protocol, store."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unblur.data import download, protocols, store
from unblur.data.dislikes import with_dislikes
from unblur.data.filters import Filter, MinRating, apply
from unblur.data.interactions import TEST, Interactions
from unblur.data.prepared_folder import folder_of
from unblur.data.presets import Preset, filters_of, resolve, split_of, targets_of
from unblur.data.request import PROTOCOLS, SPLITS, DataRequest
from unblur.data.sources import source
from unblur.data.store import Facts, Record
from unblur.errors import UserError
from unblur.registry import call, takes

VERSION = 3
"""Raise it when the same request over the same files comes to mean other data."""


PARTS = ("train", "valid", "test", "disliked", "valid_fold_in", "test_fold_in", "hidden")
"""By their number."""
OWN = ("table", "described")
"""Sources of people's own files."""


@dataclass(frozen=True)
class Prepared:
    """Prepared data: `folder` is for `store.load_dataset`, storage and `digest` for `test_set.TestSet`."""

    request: DataRequest
    digest: str
    folder: Path
    report: list[str]
    facts: Facts


def prepare(request: DataRequest, data_dir: Path | None, storage: Path) -> Prepared:
    """Makes the data that `request` asks for, or finds them made already. Raises UserError."""
    preset = resolve(request)
    _check_share(request)
    files = download.find(preset, data_dir)
    digest = digest_of(raw(preset, files))
    described = digest_of((preset.description,)) if preset.description else ""  # the raw data are read once
    asked = f"{VERSION} {request.model_dump_json()} {digest}{described}"
    key = hashlib.sha256(asked.encode()).hexdigest()
    record = store.recall(storage, key)
    if record is None:
        record = _make(request, preset, files, digest, storage)
        store.remember(storage, key, record)
    return Prepared(request, record.digest, folder_of(storage.absolute(), record.digest), record.report, record.facts)


def _make(request: DataRequest, preset: Preset, files: tuple[Path, ...], source_digest: str, storage: Path) -> Record:
    everything = source(preset.source).load(files, request)
    threshold = _threshold(request, preset)
    rating: tuple[Filter, ...] = () if threshold is None else (MinRating(threshold),)
    if threshold is None and everything.has_ratings and preset.source in OWN:
        unused = "note: ratings are not used, every row is a hit; --min-rating sets from which one on"
        everything = replace(everything, notes=(*everything.notes, unused))
    data = _split(request, apply(everything, rating + filters_of(request)))
    data = _protocol(request, threshold, everything, data)
    if not takes(PROTOCOLS.get(request.protocol), "threshold"):  # else low ratings count as hits
        data = with_dislikes(everything, data, threshold)
    if not preset.given:  # there the ids are rows already, to which other files refer
        data = data.compact()
    facts = _facts(data, everything, source_digest)
    digest = store.write(data, storage, request.seen)
    notes = [*data.notes, preset.note] if preset.note else data.notes
    report = [*_origin(everything, raw(preset, files), source_digest), *notes, _summary(facts)]
    return Record(digest=digest, report=report, facts=facts)


def _threshold(request: DataRequest, preset: Preset) -> float | None:
    """From which rating on an interaction is a hit: the flag, else the preset; noise by rating needs one."""
    if request.min_rating is not None:
        return request.min_rating
    if preset.min_rating is None and takes(PROTOCOLS.get(request.protocol), "threshold"):
        return protocols.LOW
    return preset.min_rating


def _split(request: DataRequest, data: Interactions) -> Interactions:
    name, targets = split_of(request), targets_of(request)
    split, ratios = SPLITS.get(name), {"ratios": request.ratios} if request.ratios else {}
    if ratios and not takes(split, "ratios"):
        why = f"has no meaning with the split {name} of {request.dataset}"
        raise UserError(f"--ratios {request.ratios} {why}; name another with --split, or leave it out")
    rng = np.random.default_rng([request.data_seed, 0])
    divided: Interactions = call(split, data=data, rng=rng, targets=targets, **ratios)
    return divided


def _protocol(
    request: DataRequest, threshold: float | None, everything: Interactions, clean: Interactions
) -> Interactions:
    rng = np.random.default_rng([request.data_seed, 1])
    protocol, share = PROTOCOLS.get(request.protocol), request.protocol_share
    if takes(protocol, "rng") and (clean.repeats_kept or (clean.frame.part > TEST).any()):
        what = "--repeats keep" if clean.repeats_kept else f"--split {split_of(request)}"
        raise UserError(f"--protocol {request.protocol} draws among histories without {what}; leave one of them out")
    made: Interactions = call(protocol, everything=everything, clean=clean, threshold=threshold, share=share, rng=rng)
    return made


def _facts(data: Interactions, everything: Interactions, source_digest: str) -> Facts:
    sizes = map(int, np.bincount(data.frame.part, minlength=len(PARTS)))
    counts = dict(zip(PARTS, sizes, strict=True))
    for part in ("train", "valid", "test"):
        if counts[part] == 0:
            raise UserError(
                f"{data.file}: nothing is left for {part}: its users have too few interactions; use more data, other "
                "--ratios or a lower --min-rating"
            )
    return Facts(
        users=len(data.users),
        items=len(data.items),
        **counts,
        has_order=data.has_order,
        has_ratings=everything.has_ratings,
        source_digest=source_digest,
    )


def _check_share(request: DataRequest) -> None:
    """That --protocol-share is there where the protocol takes it, and only there."""
    name, share = request.protocol, request.protocol_share
    if not takes(PROTOCOLS.get(name), "share"):
        if share is not None:
            others = [other for other in PROTOCOLS.names() if takes(PROTOCOLS.get(other), "share")]
            raise UserError(f"--protocol-share belongs to --protocol {' or '.join(others)}, and the protocol is {name}")
        return
    least, most = getattr(PROTOCOLS.get(name), "shares", (0.0, 1.0))
    if share is None or not least <= share <= most:
        raise UserError(f"--protocol {name} needs --protocol-share from {least:g} to {most:g}, found {share}")


def raw(preset: Preset, files: tuple[Path, ...]) -> tuple[Path, ...]:
    """The raw data among the files of a preset: what describes them is none."""
    return tuple(file for file in files if file != preset.description)


def source_digest(request: DataRequest, data_dir: Path | None) -> str:
    """SHA-256 of the raw data that a request names, as in the facts of what is prepared from them."""
    preset = resolve(request)
    return digest_of(raw(preset, download.find(preset, data_dir)))


def digest_of(files: tuple[Path, ...]) -> str:
    """SHA-256 over the contents of all raw files, in order; of nothing for generated data."""
    total = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror}); name a file that you may read") from error
    return total.hexdigest()


def _origin(everything: Interactions, files: tuple[Path, ...], source_digest: str) -> list[str]:
    users, items, kept = everything.counts()
    rows = kept + everything.repeats
    names = f"{', '.join(map(str, files))} (sha256 {source_digest[:12]})" if files else "generated"
    return [f"source {names}: {users:,} users, {items:,} items, {rows:,} rows"]


def _summary(facts: Facts) -> str:
    total = facts.train + facts.valid + facts.test
    return f"prepared: {facts.users:,} users, {facts.items:,} items, {total:,} interactions"
