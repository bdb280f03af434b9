"""Parity with the authors' implementation of DiffRec, to 1e-5 relative: of the parts, and of their composition.

The golden files have T' = 3 of T = 5, T' = 10 of T = 40 (normalised input), and T' = 5 of T = 10 (noise predicted).
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from unblur import models
from unblur.data.dataset import History
from unblur.diffusion.condition import WeightedRows
from unblur.diffusion.predictions import PREDICTIONS
from unblur.diffusion.process import Process
from unblur.diffusion.samplers import SAMPLERS
from unblur.diffusion.sampling import reverse_steps
from unblur.diffusion.schedules import linear_variance
from unblur.models.diffusion import _recommender
from unblur.models.diffusion._recommender import DiffusionRecommender, Examples
from unblur.nn.sparse import from_scipy

pytestmark = pytest.mark.real_data


@pytest.fixture(params=["diffrec_x0", "diffrec_x0_norm", "diffrec_eps"])
def golden(request: pytest.FixtureRequest, data_dir: Path) -> dict:
    file = data_dir.parent / "reference" / "golden" / f"{request.param}.npz"
    with np.load(file, allow_pickle=False) as stored:
        return {key: torch.from_numpy(stored[key]) if stored[key].ndim else stored[key].item() for key in stored}


@pytest.fixture
def model(golden: dict) -> DiffusionRecommender:
    """DiffRec with the authors' weights."""
    noise = {name: golden[name] for name in ("T", "noise_scale", "noise_min", "noise_max")}
    params = {"dims": [16], "normalize": golden["norm"], "prediction": golden["mean_type"], **noise}
    config = models.configure("diffrec", {**params, "t_prime_share": golden["T_prime"] / golden["T"]}, "golden")
    model = models.model_class("diffrec")(config, n_users=8, n_items=60)
    assert isinstance(model, DiffusionRecommender)
    first = golden["net.in_layers.0.weight"]
    model.network.load_state_dict(
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
    return model.eval()


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours.double(), theirs.double(), rtol=1e-5, atol=1e-6)


def test_schedule_and_posterior(golden: dict) -> None:
    bounds = (golden["noise_scale"], golden["noise_min"], golden["noise_max"])
    process = Process(linear_variance(golden["T"], *bounds), golden["T"])
    close(process.alpha_bar, golden["alphas_cumprod"])
    steps = reverse_steps(process, SAMPLERS.get("ancestral"))[::-1]
    close(torch.tensor([step.take for step in steps]), golden["posterior_mean_coef1"])
    close(torch.tensor([step.keep for step in steps]), golden["posterior_mean_coef2"])
    close(torch.tensor([step.sigma**2 for step in steps[1:]]), golden["posterior_variance"][1:])


def test_forward_process_network_and_weights(golden: dict, model: DiffusionRecommender) -> None:
    x_0, t, noise = golden["x_start"], golden["t"], golden["noise"]
    x_t = model.process.q_sample(x_0, t, noise)
    close(x_t, golden["x_t"])
    with torch.no_grad():
        close(model.network(x_t, t, None), golden["model_output"])
    close(model.process.weights[t], golden["weight"])
    assert model.process.prediction.of_noise == PREDICTIONS.get(golden["mean_type"])().of_noise


def test_the_loss_of_a_training_step(
    golden: dict, model: DiffusionRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the recommender returns is divided by T p_t; what it remembers of each step is not."""
    t, spread = golden["t"], torch.linspace(0.5, 2.0, len(golden["t"]))
    monkeypatch.setattr(torch, "randn_like", lambda _: golden["noise"].clone())
    monkeypatch.setattr(model.steps, "draw", lambda size: (t, spread))
    rows = from_scipy(csr_matrix(golden["x_start"].numpy()), model.device)
    with torch.no_grad():
        close(model(Examples(rows, WeightedRows(rows))), golden["loss"] / spread)
    for step in t.unique():
        close(model.steps.losses[step][: int((t == step).sum())], golden["loss"][t == step])


@pytest.mark.parametrize("from_history", [True, False])
@pytest.mark.parametrize("in_hidden_space", [True, False])
def test_scores(
    golden: dict,
    model: DiffusionRecommender,
    from_history: bool,
    in_hidden_space: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert model.config.T_prime == golden["T_prime"]
    monkeypatch.setattr(_recommender, "row_noise", lambda *_: golden["noise_inference"])
    if not in_hidden_space:
        monkeypatch.setattr(_recommender.GuidedSampler, "in_hidden_space", False)
    if from_history:
        model.infer_with({"t_prime_share": 0.0})
    expected = golden["sampled_T0" if from_history else "sampled"]
    scores = model.score(History(csr_matrix(golden["x_start"].numpy()), None), np.arange(8))
    scale = expected.abs().max()
    close(scores / scale, expected / scale)
