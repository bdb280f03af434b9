"""The parameters of a diffusion recommender: which parts it is composed of, and what belongs to none of them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from unblur.denoisers import DENOISERS
from unblur.diffusion.denoiser import DenoiserConfig, LinearEnds
from unblur.diffusion.guidance import GUIDANCE
from unblur.diffusion.objectives import OBJECTIVES
from unblur.diffusion.predictions import PREDICTIONS
from unblur.diffusion.samplers import SAMPLERS
from unblur.diffusion.schedules import SCHEDULES
from unblur.encoders import ENCODERS
from unblur.models.base import TrainableConfig
from unblur.models.diffusion._expert import ExpertConfig
from unblur.models.recency import RecencyConfig
from unblur.pairings import PAIRINGS
from unblur.parts import RATINGS, ComposedConfig, Needs, Part, composed
from unblur.registry import known
from unblur.spaces import SPACES


@composed
class DiffusionConfig(ComposedConfig, RecencyConfig, TrainableConfig):
    """The papers' symbols; the defaults are DiffRec's, close to the authors' best settings."""

    INFERENCE = frozenset({"t_prime_share", "sampler", "reverse_steps", "samples", "expert_weight"})

    space: Annotated[str, Part(SPACES)] = "interactions"
    """What is diffused."""
    encoder: Annotated[str, Part(ENCODERS)] = "none"
    """What the denoiser is told of the history."""
    denoiser: Annotated[str, Part(DENOISERS)] = "mlp"
    """The network."""
    pairing: Annotated[str, Part(PAIRINGS)] = "all"
    """From which parts of a history x_0 and the condition are made in training."""
    guidance: Annotated[str, Part(GUIDANCE)] = "none"
    """What the conditional pass is held against."""
    loss: Annotated[str, Part(OBJECTIVES)] = "squared_error"
    """The diffusion's objective."""
    lr: float = Field(1e-3, gt=0)
    """Learning rate of AdamW."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW's decoupled weight decay."""
    batch_size: int = Field(400, ge=1)
    """Users per step, or what the pairing makes an example of, over all workers."""
    reweight: bool = True
    """Weigh each step's squared error by the drop in signal-to-noise ratio (eq. 11); otherwise 1."""
    time_sampling: Literal["importance", "uniform"] = "importance"
    """How training draws t (eq. 14)."""
    prediction: Annotated[str, known(PREDICTIONS)] = "x0"
    """What the network predicts."""
    schedule: Annotated[str, known(SCHEDULES)] = "linear_variance"
    """Noise schedule (eq. 4 by default)."""
    T: int = Field(5, ge=1)
    """Diffusion steps."""
    t_prime_share: float = 0.0
    """T' = round(share T): forward steps before the reverse chain; 0 starts from the history itself."""
    noise_scale: float = Field(0.01, ge=0, le=1)
    """s; 0 means no noise at all."""
    noise_min: float = Field(0.001, gt=0)
    """Lower noise bound."""
    noise_max: float = Field(0.01, lt=1)
    """Upper noise bound."""
    sampler: Annotated[str, known(SAMPLERS)] = "posterior_mean"
    """Reverse steps: the posterior's mean, a draw from it (ancestral), the same with beta_t (fixed_large), or DDIM."""
    reverse_steps: int | None = Field(None, ge=1)
    """Run only so many of the T reverse steps, evenly spread [all]."""
    samples: int = Field(1, ge=1)
    """Average so many reverse chains, each with its own noise; one is enough where nothing is drawn."""
    self_condition: bool = False
    """Show the network its own last estimate of x_0 (Chen et al. 2022)."""
    expert: ExpertConfig | None = None
    """A matrix over pairs of items beside the network in the reverse chain: a model's name, or {model, params}."""
    expert_weight: float = Field(0.0, ge=0)
    """tau: the expert's scores, standardised per user, times this join each step's guided x_0_hat (logits of a
    multinomial loss)."""
    dislike_weight: Annotated[float, Needs(RATINGS, neutral=0.0)] = Field(0.0, ge=0)
    """A signed x_0: what the user rated too low for a hit is -dislike_weight in it; 0 leaves it out."""
    triplet_weight: Annotated[float, Needs(RATINGS, neutral=0.0)] = Field(0.0, ge=0)
    """Weight of the loss that puts a user's hits above the user's dislikes; 0 leaves it out."""

    @model_validator(mode="after")
    def _noise_and_steps(self) -> Self:
        if not 0 <= self.t_prime_share <= 1:
            steps = round(self.t_prime_share * self.T)
            raise ValueError(
                f"t_prime_share = {self.t_prime_share:g} would make T' = {steps} of T = {self.T}; give 0 to 1"
            )
        if self.noise_min >= self.noise_max:
            raise ValueError(f"noise_min = {self.noise_min:g} must be below noise_max = {self.noise_max:g}")
        return self

    @model_validator(mode="after")
    def _prediction_fits(self) -> Self:
        prediction, objective = PREDICTIONS.get(self.prediction)(), self.part("loss").Objective
        if not prediction.of_x0 and (objective.OF_X0 or self.noise_scale == 0):
            raise ValueError(f"prediction = {self.prediction} needs the squared error and noise (noise_scale > 0)")
        if prediction.of_noise and self.schedule == "zero_terminal_snr":
            raise ValueError(f"prediction = eps says nothing of x_0 where all is noise ({self.schedule}); take x0 or v")
        if objective.OF_SCORES and self.part("space").Space.OF_COUNTS:
            raise ValueError(
                f"loss = {self.loss} moves scores freely, and with space = {self.space} these are x_0; take multinomial"
            )
        if objective.OF_COUNTS and not self.part("space").Space.OF_COUNTS:
            raise ValueError(
                f"loss = {self.loss} is one of interactions, and space = {self.space} diffuses none; take squared_error"
            )
        return self

    @model_validator(mode="after")
    def _condition_fits(self) -> Self:
        attends = self.part("denoiser").Network.ATTENDS
        guided = self.part("guidance").Guidance.CONDITIONAL
        conditioned = self.encoder != "none" or attends
        if conditioned != guided:
            raise ValueError(
                f"encoder = {self.encoder} and denoiser = {self.denoiser} give the network "
                f"{'a' if conditioned else 'no'} condition, and guidance = {self.guidance} "
                + ("uses none; take guidance = classifier_free" if conditioned else "needs one; take encoder = bag")
            )
        if self.newest is not None and getattr(self, "condition_w_min", None) is not None:
            raise ValueError(
                f"condition_w_min weighs what is in no order, and with encoder = {self.encoder} and denoiser = "
                f"{self.denoiser} the network reads items in theirs; leave it out"
            )
        unsigned = [f for f, c in (("space", "Space"), ("pairing", "Pairing")) if not getattr(self.part(f), c).SIGNED]
        if self.dislike_weight > 0 and unsigned:
            raise ValueError(
                f"dislike_weight = {self.dislike_weight:g} makes x_0 signed, which {unsigned[0]} = "
                f"{getattr(self, unsigned[0])} does not know; leave it out, or take triplet_weight"
            )
        if self.dislike_weight > 0 and (attends or not self.part("encoder").Encoder.SIGNED):
            field = "denoiser" if attends else "encoder"
            raise ValueError(
                f"dislike_weight = {self.dislike_weight:g} makes the condition signed, and {field} = "
                f"{getattr(self, field)} attends to items that are there; take encoder = bag or bottleneck"
            )
        return self

    @model_validator(mode="after")
    def _items_fit(self) -> Self:
        if self.part("denoiser").Network.OF_ITEMS and self.space != "item_embeddings":
            raise ValueError(
                f"denoiser = {self.denoiser} adds x_t to embeddings of items, which space = {self.space} does not "
                "diffuse; take item_embeddings"
            )
        return self

    @model_validator(mode="after")
    def _pairing_fits(self) -> Self:
        compares = self.part("pairing").Pairing.OF_ITEMS
        if compares and (self.space != "item_embeddings" or self.newest is None):
            raise ValueError(
                f"pairing = {self.pairing} compares embeddings of items in their order; take space = item_embeddings "
                "and encoder = transformer"
            )
        return self

    @model_validator(mode="after")
    def _wrappers_fit(self) -> Self:
        if self.part("guidance").Guidance(self.of(self.part("guidance").Config)).weak_share is not None:
            self._has_layers()
        if issubclass(self.part("denoiser").Network, LinearEnds):
            return self
        if self.self_condition:
            raise ValueError(f"self_condition needs linear ends, and denoiser = {self.denoiser} has none")
        if getattr(self, "null_condition", "zero") == "learned" and self.encoder == "none":
            raise ValueError(
                f"null_condition = learned needs linear ends or an encoder, and denoiser = {self.denoiser} with "
                "encoder = none has neither"
            )
        return self

    def _has_layers(self) -> None:
        if not issubclass(self.part("denoiser").Config, DenoiserConfig):
            raise ValueError(
                f"guidance = {self.guidance} takes a network of smaller layers, and denoiser = {self.denoiser} has "
                "none; take guidance = classifier_free"
            )

    @property
    def newest(self) -> int | None:
        """L, if the encoder or the denoiser reads the newest L items in their order; None: weighted rows."""
        encoder, denoiser = self.part("encoder"), self.part("denoiser")
        of_encoder: int | None = encoder.Encoder.newest(self.of(encoder.Config))
        of_denoiser: int | None = denoiser.Network.newest(self.of(denoiser.Config))
        return of_encoder or of_denoiser

    @model_validator(mode="after")
    def _something_is_hidden(self) -> Self:
        if self.part("loss").Objective.OF_HIDDEN:
            pairing = self.part("pairing")
            if not self.part("guidance").Guidance.CONDITIONAL:
                raise ValueError(f"loss = {self.loss} counts what a condition hides, and guidance = none has none")
            if not pairing.Pairing(self.of(pairing.Config)).hides:
                raise ValueError(
                    f"loss = {self.loss} counts what the condition hides, and pairing = {self.pairing} hides nothing; "
                    "take partial with a condition_dropout, or earlier_later"
                )
        return self

    @model_validator(mode="after")
    def _expert_fits(self) -> Self:
        if self.expert is None and self.expert_weight > 0:
            raise ValueError(f"expert_weight = {self.expert_weight:g} weighs nobody; give expert = slist, say")
        if self.expert is not None and not self.part("space").Space.OF_COUNTS:
            raise ValueError(
                f"expert = {self.expert.model} scores items, and space = {self.space} diffuses none; leave it out"
            )
        return self

    @property
    def T_prime(self) -> int:
        """Forward steps before the reverse chain."""
        return round(self.t_prime_share * self.T)
