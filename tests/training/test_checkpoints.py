"""Checkpoints survive what happens to files."""

import hashlib
import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unblur.training.checkpoints import Checkpoint, Checkpoints
from unblur.training.safetensors_stream import pieces


def saved(folder: Path, *epochs: int) -> Checkpoints:
    checkpoints = Checkpoints(str(folder))
    for epoch in epochs:
        checkpoints.save(Checkpoint(epoch, {"w": torch.full((50,), float(epoch))}, {"best": {"value": 0.5}}))
    return checkpoints


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_the_newest_is_found_with_all_it_held(tmp_path: Path) -> None:
    newest = saved(tmp_path, 5, 10).newest()
    assert newest is not None
    assert newest.epoch == 10 and newest.tensors["w"].eq(10).all() and newest.meta == {"best": {"value": 0.5}}


def test_every_kind_of_tensor_comes_back_as_it_was(tmp_path: Path) -> None:
    tensors = {
        "bool": torch.tensor([True, False, True]),
        "transposed": torch.arange(6.0).reshape(2, 3).T,
        "long": torch.arange(-2, 3),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "none": torch.zeros(0, 4),
        "wichtig \u00fc": torch.tensor([1], dtype=torch.int16),
    }
    checkpoints = Checkpoints(str(tmp_path))
    checkpoints.save(Checkpoint(1, tensors, {}))
    found = checkpoints.newest()
    assert found is not None and found.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found.tensors[name].dtype == tensor.dtype and found.tensors[name].equal(tensor), name


def test_a_checkpoint_is_not_a_second_copy_of_the_model() -> None:
    weights = torch.zeros(1000)
    kept = pieces({"w": weights}, {})[-1]
    weights.fill_(1)
    assert bytes(kept) == weights.numpy().tobytes()


def test_at_most_two_stay(tmp_path: Path) -> None:
    saved(tmp_path, 5, 10, 15, 20)
    assert [file.name[:12] for file in files(tmp_path)] == ["epoch-000015", "epoch-000020"]


def test_nothing_there_is_none(tmp_path: Path) -> None:
    assert Checkpoints(str(tmp_path / "never")).newest() is None


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "garbage"])
def test_a_damaged_newest_gives_way_to_the_one_before(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = saved(tmp_path, 5, 10)
    newest = files(tmp_path)[-1]
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes({"truncate": data[:-7], "flip": data, "empty": b"", "garbage": b"\xff" * 500}[damage])
    found = checkpoints.newest()
    assert found is not None and found.epoch == 5
    assert newest.name in caplog.text
    files(tmp_path)[0].write_bytes(b"")
    assert checkpoints.newest() is None


def test_a_half_written_file_is_not_a_checkpoint(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 5)
    whole = files(tmp_path)[0]
    (tmp_path / f"{whole.name.replace('000005', '000010')}.partial").write_bytes(whole.read_bytes())
    found = checkpoints.newest()
    assert found is not None and found.epoch == 5


def test_a_full_disk_costs_a_checkpoint_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        checkpoints = saved(disk / "checkpoints", 5)
        checkpoints.save(Checkpoint(10, {"w": torch.zeros(100_000)}, {}))
        assert "not written" in caplog.text
        found = checkpoints.newest()
        assert found is not None and found.epoch == 5
        assert len(files(disk / "checkpoints")) == 1
    finally:
        subprocess.run(["umount", disk], check=True)


@given(st.lists(st.tuples(st.integers(0, 10**6 - 1), st.booleans(), st.binary(max_size=400)), max_size=4))
@settings(deadline=None, max_examples=150)
def test_whatever_lies_in_the_folder_is_passed_over(junk: list[tuple[int, bool, bytes]]) -> None:
    with TemporaryDirectory() as folder:
        checkpoints = saved(Path(folder), 5)
        for epoch, honest, data in junk:  # an honest name has the checksum of its bytes, whatever they are
            digest = hashlib.blake2b(data, digest_size=16).hexdigest() if honest else "0" * 32
            (Path(folder) / f"epoch-{epoch:06d}-{digest}.safetensors").write_bytes(data)
        found = checkpoints.newest()
        assert found is not None and found.epoch == 5 and found.tensors["w"].eq(5).all()


HEADERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


NESTED = '{"__metadata__": {"unblur": "' + "[" * 100_000 + '"}}'


@given(HEADERS | st.dictionaries(st.just("__metadata__"), st.dictionaries(st.just("unblur"), HEADERS | st.text())))
@example(json.loads(NESTED))
@settings(deadline=None, max_examples=150)
def test_a_header_of_any_kind_is_passed_over(header: object) -> None:
    with TemporaryDirectory() as folder:
        checkpoints = saved(Path(folder), 5)
        text = json.dumps(header).encode()
        data = len(text).to_bytes(8, "little") + text
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        (Path(folder) / f"epoch-000009-{digest}.safetensors").write_bytes(data)
        found = checkpoints.newest()
        assert found is not None and found.epoch == 5


@pytest.mark.parametrize("size", [2**63, 2**31, 10**6])
def test_a_header_that_promises_more_than_there_is(size: int, tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 5)
    data = size.to_bytes(8, "little") + b"{}"
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    (tmp_path / f"epoch-000009-{digest}.safetensors").write_bytes(data)
    found = checkpoints.newest()
    assert found is not None and found.epoch == 5
