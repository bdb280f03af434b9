"""L-DiffRec (Wang et al. 2023, section 3.3): diffusion in the latent space of a clustered VAE."""

from unblur.models.diffusion import diffrec
from unblur.parts import defaults


@defaults(
    space="clustered_vae",
    schedule="linear_variance_exact",  # eq. 4, without DiffRec's first step
    lr=5e-4,
    dims=(300,),
    T=40,
    noise_scale=0.005,
    noise_min=0.005,
    noise_max=0.02,
)
class Config(diffrec.Config):
    """The authors' settings for ML-1M; lr, dims and dropout are the denoiser's, which works on the latent."""


class Model(diffrec.Model):
    config_class = Config
