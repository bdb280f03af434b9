"""Artefacts: made once for many trainings, found again by content, another study for another file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.synthetic import communities

from unblur.data.artefacts import ItemEmbeddings, address
from unblur.errors import UserError
from unblur.experiments.artefacts import SharedArtefacts, addresses, needed
from unblur.models.diffusion import l_diffrec
from unblur.running.execution import Execution
from unblur.running.resources import Resources
from unblur.training.artefacts import provided
from unblur.training.loop import TrainingSchedule, fit, fit_for

SPLIT = communities()
SMALL: dict[str, Any] = {"dims": (8,), "in_dims": (8,), "T": 2, "batch_size": 32}


def test_the_address_follows_from_data_recipe_seed_and_the_files_bytes(tmp_path: Path) -> None:
    file = tmp_path / "e.npy"
    np.save(file, np.ones((SPLIT.n_items, 2)))
    own = ItemEmbeddings(str(file))
    before = address(own, "d", 0)
    np.save(file, np.zeros((SPLIT.n_items, 2)))
    found = {address(ItemEmbeddings("svd"), digest, seed) for digest in "de" for seed in (0, 1)}
    assert len(found) == 4 and address(own, "d", 0) != before
    with pytest.raises(UserError, match=r"nowhere\.npy: expected svd, lightgcn or a readable"):
        addresses([ItemEmbeddings("nowhere.npy")], "d", 0)


def test_configurations_share_what_they_need() -> None:
    configurations = [
        {**SMALL, "item_embeddings": source, "n_groups": n} for source in ("svd", "lightgcn") for n in (1, 2, 3)
    ]
    assert needed("l_diffrec", configurations) == [ItemEmbeddings("svd"), ItemEmbeddings("lightgcn")]
    assert needed("ease", [{}]) == [] == needed("l_diffrec", configurations[:1])


def seconds(shared: SharedArtefacts, numbers: list[int], without: list[int] = []) -> float:  # noqa: B006
    return shared.spent("trial", Execution(Resources()), numbers, without)["artefacts/trial_seconds"]


def test_the_engine_makes_each_once_and_the_trainings_find_it(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefacts, execution = [ItemEmbeddings("svd"), ItemEmbeddings("lightgcn")], Execution(Resources())
    first = SharedArtefacts(SPLIT, artefacts, 0, str(tmp_path)).made(execution)[0]
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.npy")}
    assert len(files) == 2
    parts = (artefacts, artefacts[:1], artefacts[1:])
    took = [seconds(SharedArtefacts(SPLIT, each, 0, str(tmp_path)), [0]) for each in parts]
    assert took[0] == pytest.approx(took[1] + took[2])
    assert min(took) > 0 == seconds(SharedArtefacts(SPLIT, artefacts, 1, str(tmp_path)), [0])
    again = SharedArtefacts(SPLIT, artefacts, 0, str(tmp_path)).made(Execution(Resources(), "local", 0))[0]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.npy")} == files
    assert seconds(SharedArtefacts(SPLIT, artefacts, 0, str(tmp_path)), [0]) == took[0]
    here = provided(SPLIT, artefacts, 0, fit_for)
    for name, array in first.artefacts.items():
        np.testing.assert_array_equal(array, again.artefacts[name])
        np.testing.assert_allclose(array, here.artefacts[name], rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(ItemEmbeddings, "make", lambda *_: pytest.fail("it was made again"))
    model = l_diffrec.Model(l_diffrec.Config(**SMALL), SPLIT.n_users, SPLIT.n_items, seed=7)
    fit(model, first, TrainingSchedule(epochs=1), lambda _: None)


def test_what_chance_makes_is_another_one_for_each_seed_and_all_else_is_shared(local_ray: None, tmp_path: Path) -> None:
    fixed, chance = ItemEmbeddings("svd"), ItemEmbeddings("lightgcn")
    made = SharedArtefacts(SPLIT, [fixed, chance], 3, str(tmp_path)).made(Execution(Resources()), [0, 1])
    first, second = (made[number].artefacts for number in (0, 1))
    np.testing.assert_array_equal(first[fixed.name], second[fixed.name])
    assert np.abs(first[chance.name] - second[chance.name]).max() > 1e-3
    assert len(list(tmp_path.rglob("*.npy"))) == 3
    shared = SharedArtefacts(SPLIT, [fixed, chance], 3, str(tmp_path))
    assert seconds(shared, [0, 1]) > seconds(shared, [0, 1], [0]) == seconds(shared, [1], [0]) > 0
    two = shared.spent("final", Execution(Resources(workers=3, cpus=2)), [0, 1])
    assert two["artefacts/final_core_hours"] == pytest.approx(2 * two["artefacts/final_seconds"] / 3600), (
        "on one worker"
    )
    assert two["artefacts/final_kwh"] > 0
    alike = SharedArtefacts(SPLIT, [fixed], 3, str(tmp_path)).made(Execution(Resources()), [0, 1])
    assert alike[0] is alike[1]  # and so is put into Ray's memory once
