"""The parameter that all encoders and denoisers with item embeddings share."""

from pydantic import Field

from unblur.parts import PartConfig


class EmbeddingConfig(PartConfig):
    """An embedding of each item."""

    embedding_dim: int = Field(64, ge=1)
    """Width of the history's item embeddings."""
