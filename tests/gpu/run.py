"""The check of a GPU: `python tests/gpu/run.py`, in less than eight minutes.

Nothing need be installed but PyTorch, numpy, scipy, pandas, scikit-learn, pydantic and safetensors. Every model's step,
scores and training on the GPU beside the CPU; times in each precision, memory, trainings side by side, utilisation.
Exit status 0 when all agrees, 1 when something does not, 2 when there is no GPU.
"""

import argparse
import json
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

import torch  # noqa: E402
from tests.gpu import tables  # noqa: E402
from tests.gpu.agreement import agreement, dropout, trainable  # noqa: E402
from tests.gpu.made import TINY, TOYS, YELP2018, Size, made  # noqa: E402
from tests.gpu.side_by_side import side_by_side  # noqa: E402
from tests.gpu.speed import speed  # noqa: E402

SECONDS = 420.0
"""After so many no further part is begun, so that the whole takes less than eight minutes."""


@dataclass(frozen=True)
class Extent:
    """How much is done."""

    epochs: int
    """Of the trainings that are held against the CPU."""
    sizes: tuple[Size, ...]
    """Of the made data, the smallest first."""
    every: int
    """Every so-manieth model is timed."""
    trainings: int
    """Side by side."""
    seconds: float
    """Of these."""


EXTENT = {"cuda": Extent(20, (TOYS, YELP2018), 1, 10, 8.0), "cpu": Extent(1, (TINY,), 12, 1, 0.1)}
"""On the CPU only so much as shows that the check itself works."""


class Check:
    """What was found, one list of rows for each part; what failed; what there was no time for."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.began = device, time.monotonic()
        self.rows: dict[str, list[Any]] = {}
        self.failures: list[str] = []
        self.left_out: list[str] = []

    def add(self, part: str, name: str, measure: Callable[[], Any]) -> None:
        """Measure one row of a part; a failure is told and the next goes on."""
        if time.monotonic() - self.began > SECONDS:
            self.left_out.append(f"{part}: {name}")
            return
        try:
            row = measure()
            self.rows.setdefault(part, []).append(row)
            if not getattr(row, "holds", True):
                self.failures.append(f"{part}: {name}: further from the CPU than rounding is")
        except Exception as error:
            traceback.print_exc()
            self.failures.append(f"{part}: {name}: {type(error).__name__}: {error}")

    def result(self) -> dict[str, Any]:
        """All of it as JSON."""
        seconds = time.monotonic() - self.began
        rows = {part: [asdict(row) for row in rows] for part, rows in self.rows.items()}
        told = {"failures": self.failures, "left_out": self.left_out, "seconds": seconds}
        return {"device": described(self.device), **told, **rows}


def run(device: torch.device) -> Check:
    """Everything, the agreement first."""
    check, extent = Check(device), EXTENT[device.type]
    check.add("dropout", "its share", lambda: dropout(device))
    for name in trainable():
        check.add("agreement", name, partial(agreement, name, device, extent.epochs))
    for trainings in sorted({1, extent.trainings}):
        measure = partial(side_by_side, trainings, extent.sizes[0], device, extent.seconds)
        check.add("side by side", f"{trainings} trainings", measure)
    for size in extent.sizes:
        dataset = made(size)
        for name in trainable()[:: extent.every]:
            check.add(f"speed, {size.name}", name, partial(speed, name, dataset, device))
    return check


def described(device: torch.device) -> dict[str, Any]:
    """What the figures are of."""
    told: dict[str, Any] = {"type": device.type, "python": platform.python_version(), "torch": torch.__version__}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        told |= {"name": properties.name, "memory_mib": properties.total_memory / 2**20, "cuda": torch.version.cuda}
    return told


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: try the check itself, small")
    parser.add_argument("--output", type=Path, default=Path("gpu.json"), help="the JSON that is written [gpu.json]")
    asked = parser.parse_args(arguments)
    if asked.device == "cuda" and not torch.cuda.is_available():
        print(
            f"PyTorch {torch.__version__} finds no GPU (CUDA) on this machine, so nothing was measured; --device cpu "
            "tries the check itself, small, on the CPU",
            file=sys.stderr,
        )
        return 2
    warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
    check = run(torch.device(asked.device))
    result = check.result()
    asked.output.write_text(json.dumps(result, indent=1))
    print(tables.text(result))
    for line in [*check.failures, *(f"no time was left for {each}" for each in check.left_out)]:
        print(line, file=sys.stderr)
    return int(bool(check.failures))


if __name__ == "__main__":
    sys.exit(main())
