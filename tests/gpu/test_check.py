"""The check of a GPU: what it finds on one, and that it runs without one and without what it need not have."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from tests.gpu import run
from tests.gpu.agreement import Agreement, Dropout, agreement, difference, dropout, trainable
from tests.gpu.draws import DrawnOnCpu
from tests.gpu.made import TOYS, made
from tests.gpu.tables import table
from tests.gpu.utilisation import summary
from tests.helpers import ROOT
from torch.nn import functional as F

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU (CUDA)")
NEEDED = {"torch", "numpy", "scipy", "pandas", "scikit-learn", "pydantic", "safetensors"}
MODULES = {"pyyaml": "yaml"}
WITHOUT = """
import runpy, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused}:
            raise ModuleNotFoundError(f"the check asks for {{name}}", name=name)

sys.meta_path.insert(0, Refuse())
sys.argv = ["run.py", "--device", "cpu", "--output", {output!r}]
runpy.run_path({check!r}, run_name="__main__")
"""


@on_a_gpu
@pytest.mark.parametrize("name", trainable())
def test_a_gpu_does_what_the_cpu_does(name: str) -> None:
    found = agreement(name, torch.device("cuda"))
    assert found.holds, found


@on_a_gpu
def test_dropout_on_a_gpu_drops_its_share() -> None:
    assert dropout(torch.device("cuda")).holds


def refused() -> set[str]:
    """All that the package depends on but for what the check needs, and pytest."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {dependency.split(">")[0].split("=")[0].split("[")[0] for dependency in dependencies}
    assert names > NEEDED
    return {"pytest", *(MODULES.get(name, name) for name in names - NEEDED)}


@pytest.mark.slow
def test_it_runs_on_a_cpu_with_nothing_else_installed(tmp_path: Path) -> None:
    """Every model is there, and on the CPU itself nothing differs."""
    code = WITHOUT.format(refused=refused(), check=str(run.__file__), output=str(tmp_path / "gpu.json"))
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env={"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "gpu.json").read_text())
    assert [row["model"] for row in told["agreement"]] == trainable() and "cfg_diffrec" in done.stdout
    assert {row[part] for row in told["agreement"] for part in ("loss", "gradient", "score")} == {0.0}
    assert told["side by side"][0]["steps_per_second"] > 0 and told["speed, tiny"][0]["step_ms"]["float32"] > 0
    assert not told["failures"] and not told["left_out"]


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run.main([]) == 2
    assert "finds no GPU (CUDA) on this machine, so nothing was measured" in capsys.readouterr().err


def test_what_differs_or_fails_is_told_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    check = run.Check(torch.device("cpu"))
    check.add("dropout", "broken", lambda: Dropout(asked=0.3, left_out=0.5, mean=1.0))
    check.add("dropout", "failing", lambda: 1 / 0)
    check.add("dropout", "sound", lambda: Dropout(asked=0.3, left_out=0.3, mean=1.0))
    monkeypatch.setattr(run, "SECONDS", -1.0)
    check.add("dropout", "late", lambda: pytest.fail("there is no time"))
    told = check.result()
    assert [each.split(":")[1] for each in told["failures"]] == [" broken", " failing"]
    assert len(told["dropout"]) == 2 and told["left_out"] == ["dropout: late"]


def test_an_agreement_ends_where_rounding_does() -> None:
    assert Agreement("a", 1e-6, 1e-5, 1e-4, 0.5, 0.51).holds
    assert not Agreement("a", 1e-6, 2e-3, 1e-4, 0.5, 0.5).holds and not Agreement("a", 0, 0, 0, 0.5, 0.4).holds


def test_a_difference_is_relative_but_not_to_next_to_nothing() -> None:
    assert difference(torch.tensor([3.0, 4.4]), torch.tensor([3.0, 4.0])) == pytest.approx(0.4 / 5)
    assert difference(torch.tensor([1e-9]), torch.tensor([0.0]), least=1e-3) == pytest.approx(1e-6)


def test_draws_for_another_device_come_from_the_cpus_generator() -> None:
    """What is asked of the meta device, which holds nothing, is drawn here."""
    torch.manual_seed(0)
    asked = DrawnOnCpu().__torch_dispatch__(torch.ops.aten.rand.default, (), ([5],), {"device": torch.device("meta")})
    after = torch.rand(1)
    torch.manual_seed(0)
    torch.rand(5)
    assert asked.device.type == "meta" and torch.rand(1).equal(after)


def test_dropout_of_a_gpu_draws_as_the_cpus_does() -> None:
    """A GPU has an operation of its own for it, which `DrawnOnCpu` runs on the CPU."""
    x = torch.linspace(1, 2, 100)
    torch.manual_seed(0)
    expected = F.dropout(x, 0.3)
    torch.manual_seed(0)
    torch.testing.assert_close(torch.native_dropout(x, 0.3, True)[0], expected)


def test_made_data_are_as_large_as_the_real_ones() -> None:
    dataset = made(TOYS)
    assert (dataset.n_users, dataset.n_items) == (TOYS.users, TOYS.items)
    assert 0.6 < dataset.train.nnz / TOYS.interactions < 1.1, "what came twice is there once"
    assert dataset.train.multiply(dataset.valid).nnz == 0 and dataset.valid.nnz == TOYS.users
    lengths = dataset.history().in_order().lengths
    assert lengths.min() >= 1 and lengths.sum() == dataset.train.nnz


def test_what_nvidia_smi_tells() -> None:
    assert summary("10\n90\n[N/A]\n2") == {"mean": 34.0, "most": 90.0} and summary("") is None


def test_a_table_is_aligned() -> None:
    assert table([{"a": 1.0, "name": "x"}, {"a": 1234.5, "b": None}]) == [
        "   a  name  b",
        "   1     x  -",
        "1234     -  -",
    ]
