"""The data that a report is asked for: a name is that of a file without its folder, so several can have it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from unblur.data.prepare import source_digest
from unblur.data.presets import PRESETS
from unblur.data.request import DataRequest, is_remote, name_of
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
        return name_of(self.dataset)

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
        return self.dataset in PRESETS or is_remote(self.dataset) or self._file

    @property
    def _file(self) -> bool:
        return self.dataset not in PRESETS and Path(self.dataset).is_file()

    @cached_property
    def _digest(self) -> str:
        """Of the file: read once, however many studies are held against it."""
        return source_digest(DataRequest(dataset=self.dataset), None)

    def _mine(self, study: Found) -> bool:
        if self._file:
            return study.source_digest in ("", self._digest)
        return study.asked in ("", self.dataset)


def _origin(study: Found) -> str:
    return f"{study.asked or study.dataset} (digest {study.tags.get(names.DATASET_DIGEST, 'unknown')[:8]})"
