"""What holds for the project as a whole."""

import platform
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_platform_is_a_source_root_and_not_a_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert platform.system()  # the standard library's module, also with the source root beside it
    code = "import platform, unblur; print(platform.__file__); platform.machine()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "lib/python" in done.stdout


def test_the_constraints_cover_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    wanted = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    names = {re.split(r"[\[<>=]", dependency)[0].lower() for dependency in wanted}
    assert names - pinned == set()


@pytest.mark.parametrize("job", sorted((ROOT / "jobs").glob("*.py")), ids=lambda path: path.name)
def test_jobs_are_thin_and_tell_their_flags(job: Path) -> None:
    assert len(job.read_text().splitlines()) < 80
    done = subprocess.run([sys.executable, job, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--dataset" in done.stdout


def test_every_model_has_a_sound_search_space() -> None:
    from unblur import models
    from unblur.search.space_file import load_space

    for file in (ROOT / "search_spaces").glob("*.yaml"):
        space = load_space(file, models.config_class(file.stem))
        assert space.model == file.stem
    assert {file.stem for file in (ROOT / "search_spaces").glob("*.yaml")} == set(models.names())


def test_spaces_for_rated_data_begin_without_ratings() -> None:
    from unblur import models
    from unblur.search.space_file import load_space

    files = sorted((ROOT / "search_spaces" / "rated").glob("*.yaml"))
    assert files
    for file in files:
        space = load_space(file, models.config_class(file.stem))
        assert {"dislike_weight", "triplet_weight"} <= space.parameters.keys()
        assert (space.enqueue[0]["dislike_weight"], space.enqueue[0]["triplet_weight"]) == (0, 0)


def test_the_documents_name_tests_that_are_there() -> None:
    files = [ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")]
    named = {name for file in files for name in re.findall(r"`(tests/[\w/]+\.py)", file.read_text())}
    assert len(named) > 20 and not [name for name in named if not (ROOT / name).is_file()]
