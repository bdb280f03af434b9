"""BPR-MF (Rendle et al. 2009): matrix factorisation that learns to rank a user's items above others."""

from unblur.models.factorization._pairwise import Pairwise, PairwiseConfig


class Config(PairwiseConfig):
    """The defaults are those usual in comparisons, with larger batches."""


class Model(Pairwise[Config]):
    config_class = Config
