"""Parts are chosen by name, bring their own parameters, and fit together or say why not."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.synthetic import communities
from tests.models.test_contract import trained

from unblur import models
from unblur.diffusion.predictions import PREDICTIONS
from unblur.diffusion.ramps import RAMPS
from unblur.diffusion.samplers import SAMPLERS
from unblur.diffusion.schedules import SCHEDULES
from unblur.errors import UserError
from unblur.models.diffusion._config import DiffusionConfig
from unblur.parts import Part

SPLIT = communities(n_users=24)
PARTS = {
    field: part.registry
    for field, info in DiffusionConfig.model_fields.items()
    for part in info.metadata
    if isinstance(part, Part)
}
CHOICES = [(field, name) for field, registry in PARTS.items() for name in registry.names()]
NAMED = {"schedule": SCHEDULES, "sampler": SAMPLERS, "prediction": PREDICTIONS, "guidance_ramp": RAMPS}
CHOICES += [(field, name) for field, registry in NAMED.items() for name in registry.names()]
RECIPES = [name for name in models.names() if issubclass(models.config_class(name), DiffusionConfig)]
ALONG: dict[tuple[str, str], dict[str, Any]] = {
    ("encoder", "none"): {"denoiser": "cross_attention"},
    ("guidance", "none"): {"encoder": "none", "pairing": "all"},
    ("space", "clustered_vae"): {"item_embeddings": "svd"},
    ("loss", "cross_entropy"): {"space": "item_embeddings"},
    ("denoiser", "token_mix"): {"space": "item_embeddings"},
    ("denoiser", "causal_mix"): {"space": "item_embeddings"},
    ("pairing", "thompson"): {"space": "item_embeddings", "encoder": "transformer"},
    ("loss", "hidden_error"): {"pairing": "earlier_later"},
}
"""What must be chosen beside a part of a guided model."""


def test_there_are_parts_of_each_kind() -> None:
    assert {"space", "encoder", "denoiser", "pairing", "guidance", "loss"} == PARTS.keys()
    assert all(len(registry.names()) >= 2 for registry in (*PARTS.values(), *NAMED.values()))


@pytest.mark.parametrize(("field", "choice"), CHOICES)
def test_whatever_is_discovered_can_be_chosen_trained_and_stored(field: str, choice: str, tmp_path: Path) -> None:
    params = {field: choice, **ALONG.get((field, choice), {}), "dims": [8]}
    model = trained("cfg_diffrec", SPLIT, epochs=1, **params)
    assert getattr(model.config, field) == choice
    model.save(tmp_path)
    assert models.load(tmp_path).config == model.config


@pytest.mark.parametrize("field", [*PARTS, *NAMED])
def test_a_wrong_name_is_answered_with_the_nearest(field: str) -> None:
    nearly = {**PARTS, **NAMED}[field].names()[-1] + "x"
    with pytest.raises(UserError, match=rf"--set: {field} = '{nearly}'.*Did you mean '{nearly[:-1]}'"):
        models.configure("cfg_diffrec", {field: nearly}, "--set")


@pytest.mark.parametrize(
    ("model", "params", "message"),
    [
        ("cfg_diffrec", {"weak_share": 0.5}, "weak_share needs guidance = auto; chosen: guidance = classifier_free"),
        ("diffrec", {"guidance_scale": 2.0}, "guidance_scale needs guidance = auto or classifier_free"),
        ("diffrec", {"vae_lr": 0.1}, "vae_lr needs space = clustered_vae; chosen: space = interactions"),
        (
            "cfg_diffrec",
            {"embedding_dim": 8},
            "embedding_dim needs .*encoder = bottleneck or set_transformer or",
        ),
        ("cfg_diffrec", {"embeding_dim": 8}, "unknown parameter 'embeding_dim'. Did you mean 'embedding_dim'"),
        ("diffrec", {"encoder": "bag"}, "take guidance = classifier_free"),
        ("cfg_diffrec", {"encoder": "none"}, "take encoder = bag"),
        ("diffrec", {"loss": "hidden_error"}, "guidance = none has none"),
        ("cfg_diffrec", {"loss": "hidden_error"}, "pairing = partial hides nothing; take partial with"),
        ("l_diffrec", {"loss": "multinomial"}, "space = clustered_vae diffuses none; take squared_error"),
        ("cfg_diffrec", {"loss": "cross_entropy"}, "space = interactions these are x_0; take multinomial"),
        ("cfg_diffrec", {"pairing": "thompson"}, "take space = item_embeddings and encoder = transformer"),
        ("dreamrec", {"pairing": "thompson", "encoder": "bag"}, "take space = item_embeddings and encoder = transf"),
        ("cfg_diffrec", {"denoiser": "token_mix"}, "space = interactions does not diffuse; take item_embeddings"),
        ("cfg_diffrec", {"denoiser": "linear", "guidance": "auto"}, "take guidance = classifier_free"),
        ("cfg_diffrec", {"space": "item_embeddings", "dislike_weight": 0.1}, "space = item_embeddings does not know"),
        ("cfg_diffrec", {"pairing": "prefix_next", "dislike_weight": 0.1}, "pairing = prefix_next does not know"),
    ],
)
def test_what_does_not_fit_together_is_refused(model: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        models.configure(model, params, "--set")


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_sound_and_store_what_they_are_made_of_alone(name: str) -> None:
    config = models.configure(name, {}, "test")
    assert isinstance(config, DiffusionConfig)
    stored = config.model_dump(mode="json")
    assert stored.keys() == config.parameters()
    assert models.configure(name, stored, "test") == config
    unused = type(config).model_fields.keys() - stored.keys()
    assert ("vae_lr" in unused) == (config.space != "clustered_vae")


OTHER_LOSSES = {"preferdiff": "preference", "diffurec": "cross_entropy", "adrec": "cross_entropy"}


def test_recipes_are_what_the_papers_say() -> None:
    """The parts of each: a recipe that loses one would still train."""
    found = {}
    for name in RECIPES:
        config = models.configure(name, {}, "test")
        found[name] = tuple(getattr(config, field) for field in ("space", "encoder", "denoiser", "guidance", "loss"))
    plain, guided = ("interactions", "none", "mlp", "none"), ("interactions", "bag", "mlp", "classifier_free")
    latent = ("clustered_vae", "none", "mlp", "none")
    expected = {"diffrec": plain, "t_diffrec": plain, "l_diffrec": latent, "lt_diffrec": latent}
    expected |= {"cfg_diffrec": guided, "generative_cfg": guided}
    embedded = ("item_embeddings", "transformer", "linear", "classifier_free")
    expected |= {"dreamrec": embedded, "preferdiff": embedded, "tdm": embedded}
    expected |= {"diffurec": ("item_embeddings", "none", "token_mix", "classifier_free")}
    expected |= {"adrec": ("item_embeddings", "none", "causal_mix", "classifier_free")}
    assert expected.items() <= {name: parts[:4] for name, parts in found.items()}.items()
    assert {name: parts[4] for name, parts in found.items() if parts[4] != "squared_error"} == OTHER_LOSSES


FILM = '''
"""Feature-wise modulation, as a newcomer would write it."""
from pydantic import Field
from unblur.denoisers._layers import Layers
from unblur.diffusion.denoiser import Conditioning, DenoiserConfig

class Config(DenoiserConfig):
    film_strength: float = Field(0.5, ge=0)

class Network(Layers):
    def __init__(self, n: int, config: Config, conditioning: Conditioning) -> None:
        super().__init__(n, config, conditioning)
        self.strength = config.film_strength

    def hidden(self, projected, t, c):
        return super().hidden(projected * (1 + self.strength), t, c)
'''
AFFINE = '''
"""One linear layer of x_t, the condition and t, as in DreamRec: not the shape of which the chain knows a short cut."""
import torch
from torch import nn
from unblur.diffusion.denoiser import Denoiser
from unblur.parts import PartConfig

class Config(PartConfig):
    pass

class Network(Denoiser):
    def __init__(self, n, config, conditioning):
        super().__init__()
        self.encoder = conditioning.make()
        self.layer = nn.Linear(n + conditioning.size + 1, n)

    def encode(self, condition):
        vector = self.encoder.read(condition)
        return vector.to_dense() if vector.is_sparse_csr else vector

    def forward(self, x_t, t, c):
        c = x_t.new_zeros(len(x_t), self.layer.in_features - self.layer.out_features - 1) if c is None else c
        return self.layer(torch.cat([x_t, c, t.unsqueeze(1).to(x_t.dtype)], dim=1))
'''
USE_AFFINE = """
import sys
import unblur.denoisers
unblur.denoisers.__path__.append(sys.argv[1])
from tests.helpers.synthetic import communities
from tests.models.test_contract import scores
from unblur import models
from unblur.training.loop import TrainingSchedule, fit
params = {"denoiser": "affine", "lr": 0.01, "guidance_scale": 2.0}
for null in ("zero", "learned"):
    config = models.configure("cfg_diffrec", {**params, "null_condition": null}, "--set")
    model = models.model_class("cfg_diffrec")(config, 120, 40)
    outcome = fit(model, communities(), TrainingSchedule(epochs=30, eval_every=30), lambda *_: None)
    assert outcome.metrics["recall_at_5"] > 0.3, outcome
from unblur.denoisers.affine import Network
for wrong in ({"self_condition": True}, {"encoder": "none", "null_condition": "learned"}, {"dims": [8]}):
    Network.ATTENDS = "encoder" in wrong  # it would be told something without an encoder
    try:
        models.configure("cfg_diffrec", {**params, **wrong}, "--set")
    except models.UserError as error:
        print(error)
"""
USE = """
import sys
import unblur.denoisers
unblur.denoisers.__path__.append(sys.argv[1])
from unblur import models
config = models.configure("cfg_diffrec", {"denoiser": "film", "film_strength": 0.25, "dims": [8]}, "--set")
assert models.model_class("cfg_diffrec")(config, 5, 9).network.strength == 0.25
assert config.model_dump()["film_strength"] == 0.25
try:
    models.configure("cfg_diffrec", {"film_strength": 0.25}, "--set")
except models.UserError as error:
    print(error)
"""


def test_a_new_denoiser_with_its_own_parameter_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "film.py").write_text(FILM)
    done = subprocess.run([sys.executable, "-c", USE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "film_strength needs denoiser = film; chosen: denoiser = mlp" in done.stdout


def test_a_denoiser_of_another_shape_runs_step_by_step(tmp_path: Path) -> None:
    (tmp_path / "affine.py").write_text(AFFINE)
    done = subprocess.run(
        [sys.executable, "-c", USE_AFFINE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "self_condition needs linear ends, and denoiser = affine has none" in done.stdout
    assert "null_condition = learned needs linear ends or an encoder, and denoiser = affine" in done.stdout
    assert "dims needs denoiser = cross_attention or dit or mlp; chosen: denoiser = affine" in done.stdout
