"""Bugs planted one at a time: do the tests notice? `make mutants`, or `python tests/mutants/run.py AREA|WORDS ...`.

The bugs are in the YAML files of this folder: what is wrong, a file below platform/unblur, an exact text that occurs
there once, what stands there instead, and quick tests that ought to notice. Each is planted in a temporary copy of the
tree, never in the checkout. Tests run without real data, so that everybody finds the same.
"""

import compileall
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest
import yaml
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path("platform", "unblur")
COPIED = (
    "platform",
    "tests",
    "search_spaces",
    "jobs",
    "dashboards",
    "examples",
    "ray_cluster.yaml",
    "pyproject.toml",
    "README.md",
)
LIBRARIES = (
    "hypothesis",
    "scipy.stats",
    "pandas",
    "torch._dynamo",
    "sklearn.cluster",
    "optuna",
    "ray.train.torch",
    "mlflow",
)
"""Imported once, since each bug would pay for them again."""
MAY_SURVIVE = 0.03
TOLD = "told.txt"
"""What pytest told last, in the copy."""
SECONDS, WITHOUT = 240, 3600
"""Of the tests of one bug, where one that makes them hang is noticed; of all of them without any."""
PASSED, FAILED, HUNG, BROKEN = 0, 1, -1, 99


@dataclass(frozen=True)
class Mutant:
    """A bug: `instead` in place of `text` in `file`, and the tests that ought to fail with it."""

    area: str
    bug: str
    file: Path
    text: str
    instead: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.area}: {self.bug} ({self.file})"

    def source(self, root: Path) -> str:
        return (root / SOURCES / self.file).read_text(encoding="utf-8")


def load() -> list[Mutant]:
    """Every bug; SystemExit names those that do not belong to the present tree."""
    mutants = [mutant for file in sorted(Path(__file__).parent.glob("*.yaml")) for mutant in read(file)]
    if faults := [fault for mutant in mutants for fault in stale(mutant)]:
        raise SystemExit("\n".join(faults))
    return mutants


def read(file: Path) -> list[Mutant]:
    """The bugs of one area."""
    return [
        Mutant(file.stem, each["bug"], Path(each["file"]), each["text"], each["instead"], tuple(each["tests"]))
        for each in yaml.safe_load(file.read_text(encoding="utf-8"))
    ]


def stale(mutant: Mutant) -> Iterator[str]:
    """Why a bug cannot be planted in the present tree."""
    if (count := mutant.source(ROOT).count(mutant.text)) != 1:
        yield f"{mutant}: its text occurs {count} times, not once: carry it over to the present code"
    if mutant.instead == mutant.text:
        yield f"{mutant}: it changes nothing"
    try:
        compile(mutant.source(ROOT).replace(mutant.text, mutant.instead), str(mutant.file), "exec")
    except SyntaxError as error:
        yield f"{mutant}: with it the file is no Python: {error}"
    for test in mutant.tests:
        if not (ROOT / test.partition("::")[0]).exists():
            yield f"{mutant}: {test} is not there"


@contextmanager
def copy_of_the_tree() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="unblur-mutants-") as folder:
        root = Path(folder)
        for name in COPIED:
            source, ignored = ROOT / name, shutil.ignore_patterns("__pycache__")
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=ignored)
            else:
                shutil.copy(source, root)
        # valid by content: a bug of the same length and second would otherwise not be seen
        compileall.compile_dir(root / "platform", quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
        yield root


@contextmanager
def planted(mutant: Mutant, root: Path) -> Iterator[None]:
    file, right = root / SOURCES / mutant.file, mutant.source(root)
    file.write_text(right.replace(mutant.text, mutant.instead), encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(right, encoding="utf-8")


def run(tests: Sequence[str], root: Path, seconds: float = SECONDS) -> int:
    """pytest's exit status, HUNG after so many seconds; in a process that has the libraries and nothing of ours."""
    if (child := os.fork()) == 0:
        try:
            os._exit(_passed(tests, root))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(BROKEN)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return HUNG


def _passed(tests: Sequence[str], root: Path) -> int:
    os.setsid()
    told = os.open(root / TOLD, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for stream in (0, 1, 2):
        os.dup2(told, stream)
    os.chdir(root)
    os.environ |= {"PYTHONPATH": f"{root / 'platform'}", "PYTHONDONTWRITEBYTECODE": "1"}
    os.environ.pop("UNBLUR_DATA_DIR", None)
    sys.dont_write_bytecode = True
    sys.path[:1] = [str(root / "platform"), str(root)]
    assert not {"unblur", "tests"} & sys.modules.keys()
    _without_shrinking()
    return int(pytest.main(["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", *tests]))


def _without_shrinking() -> None:
    """That a drawn example fails is enough; to make it small takes many times as long."""
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("mutants", deadline=None, phases=phases, suppress_health_check=list(HealthCheck))
    settings.load_profile("mutants")
    # the tests load profiles of their own; the class refuses an ordinary assignment
    type.__setattr__(settings, "load_profile", staticmethod(lambda name: None))


def judge(mutants: Sequence[Mutant], root: Path, told: Callable[[str], None]) -> list[Mutant]:
    """Those that survive; SystemExit when tests fail without any bug, or cannot be run with one."""
    every = list(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    if run(every, root, WITHOUT) != PASSED:
        raise SystemExit(f"{(root / TOLD).read_text()[-3000:]}\nwithout any bug these do not pass: {' '.join(every)}")
    survivors = []
    for mutant in mutants:
        with planted(mutant, root):
            status = run(mutant.tests, root)
        if status not in (PASSED, FAILED, HUNG):
            raise SystemExit(f"{mutant}: pytest ended with {status}, so that nothing is known")
        told(f"{'SURVIVED' if status == PASSED else 'killed  '} {mutant}")
        survivors += [mutant] if status == PASSED else []
    return survivors


def main(words: Sequence[str]) -> None:
    mutants = [each for each in load() if not words or any(word in str(each) for word in words)]
    if not mutants:
        raise SystemExit(f"no bug is called {' or '.join(words)}")
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in LIBRARIES:
        importlib.import_module(name)
    with copy_of_the_tree() as root:
        survivors = judge(mutants, root, lambda line: print(line, flush=True))
    share = len(survivors) / len(mutants)
    print(f"{len(survivors)} of {len(mutants)} bugs survive ({share:.1%}; at most {MAY_SURVIVE:.0%} may)")
    sys.exit(share > MAY_SURVIVE)


if __name__ == "__main__":
    main(sys.argv[1:])
