"""EDLAE: EASE with the ridge that dropout of the input amounts to, larger for popular items (Steck 2020)."""

from pydantic import Field

from unblur.models.closed_form import ease
from unblur.models.closed_form._linear import Floats


class Config(ease.Config):
    dropout: float = Field(0.3, ge=0, lt=1)
    """Probability with which an item of the input would be hidden; 0 is EASE."""


class Model(ease.Model):
    """The best linear denoiser of histories with dropout when the loss counts the hidden items alone (theorem 1)."""

    config_class = Config
    config: Config

    def ridge(self, counts: Floats) -> Floats:
        return self.config.dropout / (1 - self.config.dropout) * counts + self.config.l2
