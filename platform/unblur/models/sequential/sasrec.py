"""SASRec: a causal transformer over the history (Kang and McAuley 2018)."""

from unblur.models.sequential._next_item import NextItem
from unblur.models.sequential._transformer import TransformerConfig
from unblur.nn.transformer import Transformer


class Config(TransformerConfig):
    """The paper's network, with pre-norm blocks. Its own loss is `bce` with one negative."""


class Model(NextItem[Config]):
    """Every place looks at itself and at what came before it."""

    config_class = Config

    def make_encoder(self) -> Transformer:
        return self.config.transformer(causal=True)
