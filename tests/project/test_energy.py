"""What a CPU draws and a kWh emits, by CodeCarbon's tables where they are."""

from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from unblur import energy, provenance
from unblur.errors import UserError

Machine = Callable[..., None]
KNOWN = [
    ("AMD EPYC 7763", 280),
    ("Intel Xeon Gold 6248", 150),
    ("Intel Xeon Gold 6248R", 205),
    ("Intel Core i9-13900K", 125),
]
TABLE = "\n".join(
    [
        "Name,TDP",
        *(f"{name},{watts}.0" for name, watts in KNOWN),
        "Two,15",
        "Two,15.0",
        "Odd,27.29.5",
        "Three,3",
        "Three,4",
    ]
)
"""With what the real one has too: a number twice, several in one, two numbers of one name."""


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CodeCarbon that is installed, as far as its tables go."""
    data = tmp_path / "codecarbon/data"
    (tmp_path / "codecarbon-3.3.2.dist-info").mkdir()
    (tmp_path / "codecarbon-3.3.2.dist-info/METADATA").write_text("Name: codecarbon\nVersion: 3.3.2\n")
    for name, text in {
        "hardware/cpu_power.csv": TABLE,
        "private_infra/global_energy_mix.json": '{"DEU": {"carbon_intensity": 380.95}}',
    }.items():
        (data / name).parent.mkdir(parents=True)
        (data / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture
def without_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise PackageNotFoundError

    monkeypatch.setattr(energy, "distribution", missing)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    def of(name: str, cpus: int, sockets: int = 1, flags: str = "fpu vme") -> None:
        each = [
            f"processor : {n}\nmodel name\t: {name}\nphysical id : {n % sockets}\nflags\t: {flags}" for n in range(cpus)
        ]
        (file := tmp_path / "cpuinfo").write_text("\n\n".join(each))
        monkeypatch.setattr(provenance, "CPUINFO", file)
        monkeypatch.setattr("os.cpu_count", lambda: cpus)
        energy.cpu_watts.cache_clear()

    yield of
    energy.cpu_watts.cache_clear()


@pytest.mark.parametrize(
    ("name", "cpus", "sockets", "watts"),
    [
        ("AMD EPYC 7763 64-Core Processor", 256, 2, 2 * 280 / 256),
        ("Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz", 40, 1, 150 / 40),
        ("Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz", 48, 1, 205 / 48),
        ("Two", 2, 1, 7.5),
        ("13th Gen Intel(R) Core(TM) i9-13900K", 32, 1, 125 / 32),
    ],
)
def test_the_rated_power_is_shared_by_all_cpus(
    tables: None, machine: Machine, name: str, cpus: int, sockets: int, watts: float
) -> None:
    machine(name, cpus, sockets)
    assert energy.cpu_watts() == {energy.RATED: pytest.approx(watts)}


def test_a_virtual_or_unknown_processor_has_the_constant(tables: None, machine: Machine) -> None:
    unknown = [(name, "fpu") for name in ("AMD EPYC", "Odd", "Three", "")]
    for name, flags in (("AMD EPYC 7763 64-Core Processor", "fpu hypervisor"), *unknown):
        machine(name, 2, flags=flags)
        assert energy.cpu_watts() == {energy.ASSUMED: 4.0}


def test_without_the_tables_there_are_the_constants(without_tables: None, machine: Machine) -> None:
    machine("AMD EPYC 7763 64-Core Processor", 128)
    assert energy.cpu_watts() == {energy.ASSUMED: 4.0} and energy.grams_per_kwh(None) == 475
    with pytest.raises(UserError, match=r"--country DEU: .*pip install 'unblur\[energy\]'"):
        energy.grams_per_kwh("DEU")


def test_a_country_has_its_own_electricity(tables: None) -> None:
    assert energy.grams_per_kwh("DEU") == 380.95 and energy.grams_per_kwh(None) == 475
    with pytest.raises(UserError, match="--country Germany: expected three letters"):
        energy.grams_per_kwh("Germany")


def test_the_tables_and_constants_are_codecarbons_own() -> None:
    """Where it is installed: its files lie where they are looked for, and none of its code needs to be imported."""
    try:
        where = distribution("codecarbon")
    except PackageNotFoundError:
        pytest.skip("needs codecarbon: pip install '.[energy]'")
    assert energy._rated("AMD EPYC 7763 64-Core Processor") == 280
    assert energy._rated("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz") == 300
    assert 300 < energy.grams_per_kwh("DEU") < 500 and energy.grams_per_kwh("SWE") < 100
    code = Path(str(where.locate_file("codecarbon/core/cpu.py"))).read_text()
    assert f"DEFAULT_POWER_PER_CORE = {energy.ASSUMED_WATTS:g}\n" in code
    sources = Path(str(where.locate_file("codecarbon/data/private_infra/carbon_intensity_per_source.json"))).read_text()
    assert f'"world_average": {energy.WORLD_GRAMS:g},' in sources
