"""What was mistyped is answered at once: before anything heavy is loaded."""

import subprocess
import sys

import pytest
from tests.helpers import ROOT
from tests.helpers.remedies import assert_mendable

HEAVY = ("torch", "ray", "mlflow", "optuna", "sklearn", "scipy.sparse.linalg")
TYPED = """
import sys
from unblur import cli
from unblur.experiments.options import SearchOptions
from unblur.experiments.options import TrainOptions

def main(options):
    raise SystemExit("it was taken for right")

try:
    cli.run(main, {options})
finally:
    print("loaded:", *[name for name in {heavy} if name in sys.modules])
"""


@pytest.mark.parametrize("options", ["SearchOptions", "TrainOptions"])
@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--trails", "3"], "--trials"),
        (["--metric", "ndgc@10"], "unknown metric 'ndgc@10'. Did you mean 'ndcg@10'?"),
        (["--model", "cfg_difrec"], "unknown model 'cfg_difrec'. Did you mean 'cfg_diffrec'?"),
        (["--model", "ease,popularty"], "unknown model 'popularty'. Did you mean 'popularity'?"),
        (["--dataset", "amazon_toyz"], "unknown dataset 'amazon_toyz'. Did you mean 'amazon_toys'?"),
        (["--epochs", "0"], "--epochs"),
    ],
)
def test_a_mistyped_word(options: str, flags: list[str], says: str) -> None:
    if options == "TrainOptions" and flags[0] == "--trails":
        flags, says = ["--modle", "ease"], "--model"
    code = TYPED.format(options=options, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code, *flags], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert_mendable(done.returncode, done.stdout, done.stderr)
    assert done.stdout.splitlines()[-1].split() == ["loaded:"]


def test_a_search_space_that_is_not_there(tmp_path: object) -> None:
    code = TYPED.format(options="SearchOptions", heavy=HEAVY)
    for file, says in (("absent.yaml", "absent.yaml"), (ROOT / "README.md", "README.md")):
        typed = [sys.executable, "-c", code, "--search-space", str(file)]
        done = subprocess.run(typed, capture_output=True, text=True, timeout=300, cwd=str(tmp_path))
        assert done.returncode == 2 and says in done.stderr, done.stderr
        assert_mendable(done.returncode, done.stdout, done.stderr)
        assert done.stdout.splitlines()[-1].split() == ["loaded:"]
