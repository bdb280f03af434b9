"""SASRec: a causal transformer over the history (Kang and McAuley 2018)."""

from typing import Self

from pydantic import Field, model_validator

from unblur.models.sequential._next_item import NextItem, NextItemConfig
from unblur.nn.transformer import Transformer


class Config(NextItemConfig):
    """The paper's network, with pre-norm blocks. Its own loss is `bce` with one negative."""

    blocks: int = Field(1, ge=1)
    """Transformer blocks."""
    heads: int = Field(1, ge=1)
    """Attention heads of each block; they divide dim."""

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"heads = {self.heads} does not divide dim = {self.dim}")
        return self


class Model(NextItem[Config]):
    """Every place looks at itself and at what came before it."""

    config_class = Config

    @property
    def layers(self) -> int:
        return self.config.blocks

    @property
    def attention(self) -> int:
        return self.config.blocks * self.config.heads * self.config.max_length

    def make_encoder(self) -> Transformer:
        c = self.config
        return Transformer(c.dim, c.blocks, c.heads, c.max_length, c.dropout)
