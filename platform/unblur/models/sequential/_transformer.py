"""What recommenders have in common whose network is a transformer."""

from typing import Self

from pydantic import Field, model_validator

from unblur.models.sequential._sequence_model import SequenceConfig
from unblur.nn.transformer import Transformer


class TransformerConfig(SequenceConfig):
    """Pre-norm blocks with learned positions."""

    heads: int = Field(1, ge=1)
    """Attention heads of each block; they divide dim."""

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"heads = {self.heads} does not divide dim = {self.dim}")
        return self

    @property
    def attention(self) -> int:
        return self.blocks * self.heads * self.max_length

    def transformer(self, causal: bool) -> Transformer:
        """The network; causal: no place looks ahead."""
        return Transformer(self.dim, self.blocks, self.heads, self.max_length, self.dropout, causal)
