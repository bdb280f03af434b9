"""Products and tanh by oneDNN equal the plain operations."""

import pytest
import torch
from torch.nn import functional as F

from unblur.nn import onednn


def test_the_operation_is_there() -> None:
    """Otherwise evaluation silently falls back to the slower products with this version of PyTorch."""
    assert torch.backends.mkldnn.is_available() == onednn.AVAILABLE  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("rows", "n_in", "n_out"), [(1, 3, 2), (7, 20, 33), (300, 1000, 281)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_packed_weight_multiplies_as_a_plain_one(rows: int, n_in: int, n_out: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(n_in, rows, dtype=dtype).T  # not contiguous
    weight, bias = torch.randn(n_out, n_in, dtype=dtype, requires_grad=True), torch.randn(n_out, dtype=dtype)
    packed = onednn.Packed(weight)
    exact = F.linear(x.double(), weight.detach().double(), bias.double())
    for found, wanted in ((packed(x, bias), exact), (packed(x), exact - bias.double())):
        assert found.dtype == dtype and not found.requires_grad
        torch.testing.assert_close(found.double(), wanted, rtol=0, atol=2e-5 * n_in**0.5)


def test_no_rows_and_no_items() -> None:
    assert onednn.Packed(torch.randn(4, 3))(torch.randn(0, 3)).shape == (0, 4)
    assert onednn.Packed(torch.randn(0, 3))(torch.randn(2, 3)).shape == (2, 0)


def test_tanh_is_exact_to_float_precision_and_leaves_its_argument() -> None:
    x = torch.cat([torch.linspace(-20, 20, 4001), torch.logspace(-30, 1, 100)]).reshape(-1, 1)
    before = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(onednn.tanh(x).double(), torch.tanh(x.double()), rtol=3e-7, atol=0)
        assert onednn.tanh(torch.tensor([[torch.inf, -torch.inf]])).tolist() == [[1, -1]]
        assert onednn.tanh(torch.tensor([[torch.nan]])).isnan().all()
    assert torch.equal(x, before)


def test_tanh_has_gradients() -> None:
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(onednn.tanh, (x,))
    single = torch.randn(5, 3, requires_grad=True)
    onednn.tanh(single).sum().backward()
    assert single.grad is not None


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("transposed", [True, False])
def test_a_linear_layer_has_the_plain_ones_output_and_gradients(bias: bool, transposed: bool) -> None:
    x = torch.randn(30, 20)
    weight = torch.randn(20, 33).T if transposed else torch.randn(33, 20)
    parts = [x, weight, *([torch.randn(33)] if bias else [])]
    weights = torch.randn(30, 33)
    found, wanted = [], []
    for function, gradients, dtype in ((onednn.linear, found, torch.float32), (F.linear, wanted, torch.float64)):
        inputs = [part.detach().to(dtype).requires_grad_() for part in parts]
        output = function(*inputs)
        (output * weights).sum().backward()
        gradients += [output, *(each.grad for each in inputs)]
    for ours, plain in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours.double(), plain, rtol=1e-4, atol=1e-5)


def test_a_linear_layer_gives_no_gradient_that_nobody_wants() -> None:
    x, weight = torch.randn(4, 3), torch.randn(2, 3, requires_grad=True)
    onednn.linear(x, weight).sum().backward()
    assert x.grad is None
    torch.testing.assert_close(weight.grad, x.sum(0).expand(2, 3))
