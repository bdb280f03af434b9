"""Denoising networks: one file per choice (the contract is `unblur.diffusion.denoiser`)."""

from unblur.registry import modules

DENOISERS = modules("denoiser", __name__)
