"""DiffRec (Wang et al., SIGIR 2023): diffusion over a user's whole interaction vector."""

from unblur.models.diffusion._config import DiffusionConfig
from unblur.models.diffusion._recommender import DiffusionRecommender


class Config(DiffusionConfig):
    """The defaults of a composition."""


class Model(DiffusionRecommender):
    config_class = Config
