"""Unblur: tuning and honest evaluation of diffusion recommenders with classifier-free guidance."""

__version__ = "0.1.0"
