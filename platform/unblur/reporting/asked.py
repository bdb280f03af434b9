"""The data that a report is asked for: a name is that of a file without its folder, so several can have it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unblur.data.prepare import digest_of
from unblur.data.presets import PRESETS
from unblur.errors import UserError
from unblur.tracking import names
from unblur.tracking.reader import Found


@dataclass(frozen=True)
class Asked:
    """The data that a report was asked for, as far as the words tell."""

    dataset: str
    """As it was typed: a preset, a file, or the name that a file's studies have."""

    @property
    def name(self) -> str:
        return Path(self.dataset).stem

    def only(self, studies: Sequence[Found], experiment: str) -> tuple[list[Found], list[str]]:
        """The parent runs of the data that were asked for, and a note on others; UserError when there are only such."""
        mine = [study for study in studies if self._mine(study)] if self._told else list(studies)
        others = sorted({_origin(study) for study in studies if study not in mine})
        if studies and not mine:
            raise UserError(
                f"no study of {self.dataset} is there: those of {experiment} in MLflow are of other data, "
                f"{', '.join(others)}. Search these first (unblur tune), or name the others"
            )
        return mine, [f"Left out: studies of other data with the same name, {', '.join(others)}."] if others else []

    @property
    def _told(self) -> bool:
        return self.dataset in PRESETS or self._file

    @property
    def _file(self) -> bool:
        return self.dataset not in PRESETS and Path(self.dataset).is_file()

    def _mine(self, study: Found) -> bool:
        if self._file:
            return bool(study.facts.get("source_digest", "") in ("", digest_of((Path(self.dataset),))))
        return _dataset(study) in ("", self.dataset)


def _dataset(study: Found) -> str:
    """The dataset as it was typed for the search; nothing where that is not recorded."""
    asked: dict[str, str] = json.loads(study.tags.get(names.DATA_REQUEST, "{}"))
    return asked.get("dataset", "")


def _origin(study: Found) -> str:
    return f"{_dataset(study) or study.dataset} (digest {study.tags.get(names.DATASET_DIGEST, 'unknown')[:8]})"
