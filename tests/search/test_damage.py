"""A study's database that was damaged is told with its file and the way out, and never read as another record."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from tests.helpers.toy_study import identity, run, table

from unblur.errors import UserError
from unblur.search.storage import local_url
from unblur.search.study import Study


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study with twelve trials, whose database was copied."""
    folder = tmp_path_factory.mktemp("whole")
    run(Study.open(identity(), local_url(folder)), 12)
    Study.open(identity(), local_url(folder))
    return folder


def copy(whole: Path, tmp_path: Path, name: str = "copy") -> Path:
    return Path(shutil.copytree(whole, tmp_path / name)) / "study.db"


def test_the_copy_of_a_start_is_the_record_and_a_new_study_has_none(whole: Path, tmp_path: Path) -> None:
    file = copy(whole, tmp_path)
    before = table(Study.open(identity(), local_url(file.parent)))
    shutil.copy(f"{file}.bak", file)
    assert table(Study.open(identity(), local_url(file.parent))) == before
    Study.open(identity(), local_url(tmp_path / "new"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["study.db"]


@pytest.mark.parametrize("size", [0, 50, 5000])
def test_a_truncated_one_is_told_with_its_copy(whole: Path, tmp_path: Path, size: int) -> None:
    file = copy(whole, tmp_path)
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(UserError, match=rf"{file}.*cp {file}\.bak {file}"):
        Study.open(identity(), local_url(file.parent))
    assert len(file.read_bytes()) == size, "nothing is mended"


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_are_told_or_change_nothing(whole: Path, tmp_path: Path, seed: int) -> None:
    right, random, told = table(Study.open(identity(), local_url(whole))), Random(seed), 0
    for attempt in range(15):
        file = copy(whole, tmp_path, f"{attempt}")
        data = bytearray(file.read_bytes())
        page = random.randrange(len(data) // 4096) * 4096
        for _ in range(random.choice([1, 30, 1000])):
            data[page + random.randrange(4096)] = random.randrange(256)
        file.write_bytes(data)
        try:
            study = Study.open(identity(), local_url(file.parent))
        except UserError as error:
            told += 1
            assert str(file) in str(error)
            continue
        found = table(study)
        assert found in (right, []), "an empty one is told by what MLflow knows"
    assert told


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trial_values SET value = value + 1e-9 WHERE trial_id = 1",
        "UPDATE trial_params SET param_value = param_value / 2",
        "UPDATE trial_intermediate_values SET intermediate_value = 0.5",
        "UPDATE trials SET state = 'PRUNED' WHERE trial_id = 1",
        "UPDATE trials SET state = 'DONE' WHERE trial_id = 1",
        "UPDATE trial_user_attributes SET value_json = '{'",
        "UPDATE trial_params SET distribution_json = '{}'",
        "UPDATE study_user_attributes SET value_json = '\"{}\"' WHERE key = 'identity'",
        "UPDATE trials SET datetime_start = 'noon'",
    ],
)
def test_content_that_was_changed_is_told(whole: Path, tmp_path: Path, change: str) -> None:
    file = copy(whole, tmp_path)
    with closing(sqlite3.connect(file)) as database, database:
        assert database.execute(change).rowcount > 0
    with pytest.raises(UserError, match=str(file)):
        Study.open(identity(), local_url(file.parent))
