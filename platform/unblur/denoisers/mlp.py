"""DiffRec's network (Wang et al. 2023, section 3.2.3); with an encoder the CFG paper's (Buchanan et al. 2024)."""

from unblur.denoisers._layers import Layers
from unblur.diffusion.denoiser import Conditioning, DenoiserConfig


class Config(DenoiserConfig):
    """Those of the layers."""


class Network(Layers):
    """An MLP on [x_t, time embedding, encoder's vector]."""

    def __init__(self, n: int, config: Config, conditioning: Conditioning) -> None:
        super().__init__(n, config, conditioning)
