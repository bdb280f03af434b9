"""Diffusion recommenders."""
