"""What computing draws, and what the electricity for it emits: tables of CodeCarbon, none of whose code runs.

Its trackers measure a machine or a process. Trainings share both, so here the tables meet the trainings' own seconds.
"""

import csv
import json
import os
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from unblur.errors import UserError
from unblur.provenance import cpu_facts, processor

ASSUMED_WATTS = 4.0
"""Of a CPU (a thread) whose processor no table knows, or that a virtual machine has: CodeCarbon's own constant."""
WORLD_GRAMS = 475.0
"""CO2 equivalents of a kWh, the world's average (IEA 2019), as CodeCarbon has it."""
RATED, ASSUMED, LIMIT = "cpu_rated_watts", "cpu_assumed_watts", "gpu_limit_watts"
"""Facts of a training: W of a CPU by the processor's rated power (TDP), or the constant; of a GPU, its power limit."""
EXTRA = "pip install 'unblur[energy]'"


@cache
def cpu_watts() -> dict[str, float]:
    """W of one of this machine's CPUs at work, under the name of how it was found."""
    virtual = any("hypervisor" in flags.split() for flags in cpu_facts("flags"))
    rated = None if virtual else _rated(processor())  # a virtual machine has a part of one, and nobody says which
    if rated is None:
        return {ASSUMED: ASSUMED_WATTS}
    sockets = max(1, len(set(cpu_facts("physical id"))))
    return {RATED: rated * sockets / (os.cpu_count() or 1)}


def grams_per_kwh(country: str | None) -> float:
    """g CO2 equivalents of a kWh in a country (ISO 3166, three letters); None: the world's average. UserError."""
    if country is None:
        return WORLD_GRAMS
    mixes = _file("private_infra/global_energy_mix.json")
    if mixes is None:
        raise UserError(f"--country {country}: the table of countries is CodeCarbon's; {EXTRA}, or leave it out")
    found = json.loads(mixes.read_text())
    if country not in found:
        raise UserError(f"--country {country}: expected three letters of ISO 3166 that CodeCarbon knows, such as DEU")
    return float(found[country]["carbon_intensity"])


def _rated(name: str) -> float | None:
    """W of a processor (its TDP); None where CodeCarbon is not installed, or has no one number for it."""
    table = _file("hardware/cpu_power.csv")
    if table is None:
        return None
    with table.open(newline="", encoding="utf-8") as rows:
        told = {_number(row["TDP"]) for row in csv.DictReader(rows) if _plain(row["Name"]) == _plain(name)}
    return told.pop() if len(told) == 1 else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # the table has 27.29.5, of processors of which there were several
        return None


def _plain(name: str) -> str:
    """A processor's name as the table has it: without marks, number of cores, clock."""
    bare = re.sub(r"\((R|TM)\)|\d+th Gen|\bCPU\b|\S+-Core Processor|@.*|\bProcessor\b", " ", name)
    return " ".join(bare.split()).lower()


def _file(name: str) -> Path | None:
    try:
        file = Path(str(distribution("codecarbon").locate_file(f"codecarbon/data/{name}")))
    except PackageNotFoundError:
        return None
    return file if file.is_file() else None
