"""Files that come with the package, and those of the working directory that go before them."""

from pathlib import Path

import pytest

from unblur.data.presets import PRESETS
from unblur.documents import configured
from unblur.models import config_class
from unblur.resources import HOME, find, named


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_package_has_what_the_working_directory_lacks() -> None:
    assert find("search_spaces/ease.yaml") == HOME / "search_spaces/ease.yaml"
    assert find("search_spaces/unheard.yaml") == Path("search_spaces/unheard.yaml")


def test_a_file_of_the_working_directory_goes_before(tmp_path: Path) -> None:
    own = set(named("search_spaces"))
    folder = tmp_path / "search_spaces"
    folder.mkdir()
    for name in ("ease", "mine"):
        (folder / f"{name}.yaml").write_text("")
    assert find("search_spaces/ease.yaml") == named("search_spaces")["ease"] == Path("search_spaces/ease.yaml")
    assert (
        find("search_spaces/diffrec.yaml") == named("search_spaces")["diffrec"] == HOME / "search_spaces/diffrec.yaml"
    )
    assert set(named("search_spaces")) == own | {"mine"}


TUNED = sorted((HOME / "search_spaces" / "tuned").glob("*/*.yaml"))


@pytest.mark.parametrize("file", TUNED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_tuned_configuration_is_taken_from_anywhere_and_says_where_it_is_from(file: Path) -> None:
    configured(config_class(file.stem), [], Path("search_spaces/tuned") / file.parent.name / file.name)
    assert file.parent.name in PRESETS
    first = file.read_text().splitlines()[0]
    assert first.startswith(f"# {file.stem} on {file.parent.name}: trial ") and "on validation, the best of" in first
