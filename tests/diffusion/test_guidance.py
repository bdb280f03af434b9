from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unblur.diffusion.condition import WeightedRows
from unblur.diffusion.guidance import drop_histories, guide, guided
from unblur.diffusion.guidance._rule import ramp_up
from unblur.diffusion.ramps import RAMPS
from unblur.pairings.partial import drop_items


def test_scale_one_is_the_strong_pass_zero_the_weak_one_and_the_rest_lies_on_their_line() -> None:
    passes = []

    def output(name: str, value: float) -> torch.Tensor:
        passes.append(name)
        return torch.tensor(value)

    weak, strong = partial(output, "weak", 1.0), partial(output, "strong", 3.0)
    assert guided(weak, strong, 1.0) == 3 and passes == ["strong"]
    assert guided(weak, strong, 0.0) == 1 and passes == ["strong", "weak"]
    assert guided(weak, strong, 2.0) == 5 == guide(torch.tensor(1.0), torch.tensor(3.0), 2.0)


@given(T=st.integers(1, 50), scale=st.floats(0, 5), ramp=st.sampled_from(RAMPS.names()))
def test_the_scale_goes_from_one_to_its_end_without_turning(T: int, scale: float, ramp: str) -> None:
    scales = ramp_up(T, scale, ramp)[::-1]
    assert scales[-1] == pytest.approx(scale)
    if ramp != "constant" and T > 1:
        assert scales[0] == 1
    distances = [abs(s - 1) for s in scales]
    assert all(a <= b + 1e-12 for a, b in pairwise(distances))
    assert ramp_up(T, 1.0, ramp) == [1.0] * T


def test_dropout_of_rows_and_items_keeps_their_shares() -> None:
    torch.manual_seed(0)
    dense = torch.ones(2_000, 20)
    rows = drop_histories(WeightedRows(dense.to_sparse_csr()), 0.3).rows.to_dense()
    assert set(rows.sum(1).tolist()) == {0.0, 20.0}
    assert abs(rows.mean() - 0.7) < 0.03
    items = drop_items(WeightedRows(dense.to_sparse_csr()), 0.4).rows.to_dense()
    assert abs(items.mean() - 0.6) < 0.02 and 0 < items.sum(1).std() < 4
    assert drop_histories(WeightedRows(dense.to_sparse_csr()), 0).rows.to_dense().equal(dense)
