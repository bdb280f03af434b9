"""Parity with the authors' implementation of DiffRec, to 1e-5 relative."""

from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.denoisers.mlp import Network
from unblur.diffusion.process import Process
from unblur.diffusion.sampling import hidden_chain, plain_chain, reverse_steps
from unblur.diffusion.schedules import linear_variance

pytestmark = pytest.mark.real_data


@pytest.fixture(params=["diffrec_x0", "diffrec_x0_norm", "diffrec_eps"])
def golden(request: pytest.FixtureRequest, data_dir: Path) -> dict:
    file = data_dir.parent / "reference" / "golden" / f"{request.param}.npz"
    with np.load(file, allow_pickle=False) as stored:
        return {key: torch.from_numpy(stored[key]) if stored[key].ndim else stored[key].item() for key in stored}


@pytest.fixture
def process(golden: dict) -> Process:
    bounds = (golden["noise_scale"], golden["noise_min"], golden["noise_max"])
    return Process(linear_variance(golden["T"], *bounds), golden["T"])


@pytest.fixture
def network(golden: dict) -> Network:
    first = golden["net.in_layers.0.weight"]
    network = Network(60, (16,), dropout=0.5, normalize=golden["norm"])
    network.load_state_dict(
        {
            "w_in": first[:, :60].T,
            "time.weight": golden["net.emb_layer.weight"],
            "time.bias": golden["net.emb_layer.bias"],
            "time_in.weight": first[:, 60:],
            "time_in.bias": golden["net.in_layers.0.bias"],
            "out.weight": golden["net.out_layers.0.weight"],
            "out.bias": golden["net.out_layers.0.bias"],
        }
    )
    return network.eval()


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours.double(), theirs.double(), rtol=1e-5, atol=1e-6)


def test_schedule_and_posterior(golden: dict, process: Process) -> None:
    close(process.alpha_bar, golden["alphas_cumprod"])
    steps = reverse_steps(process, "x0", "ancestral")[::-1]
    close(torch.tensor([step.take for step in steps]), golden["posterior_mean_coef1"])
    close(torch.tensor([step.keep for step in steps]), golden["posterior_mean_coef2"])
    close(torch.tensor([step.sigma**2 for step in steps[1:]]), golden["posterior_variance"][1:])


def test_forward_process_network_and_loss(golden: dict, process: Process, network: Network) -> None:
    x_0, t, noise, kind = golden["x_start"], golden["t"], golden["noise"], golden["mean_type"]
    x_t = process.q_sample(x_0, t, noise)
    close(x_t, golden["x_t"])
    with torch.no_grad():
        output = network(x_t, t, None)
    close(output, golden["model_output"])
    close(process.weight(kind, t), golden["weight"])
    close(process.squared_error(kind, output, x_0, x_t, noise, t) * process.weight(kind, t), golden["loss"])


@pytest.mark.parametrize("from_history", [True, False])
def test_both_reverse_chains(golden: dict, process: Process, network: Network, from_history: bool) -> None:
    steps = reverse_steps(process, golden["mean_type"])
    x, expected = golden["x_start"], golden["sampled_T0"]
    if not from_history:
        t = torch.full((len(x),), golden["T_prime"] - 1)
        x, expected = process.q_sample(x, t, golden["noise_inference"]), golden["sampled"]
    with torch.no_grad():
        plain = plain_chain(x, steps, lambda x_t, t: network(x_t, torch.full((len(x),), t), None))
        ends = network.ends()
        fast = hidden_chain(
            x, steps, ends, ends.products(), lambda z, t: network.hidden(z, torch.full((len(x),), t), None)
        )
    scale = expected.abs().max()
    close(plain / scale, expected / scale)
    close(fast / scale, expected / scale)
