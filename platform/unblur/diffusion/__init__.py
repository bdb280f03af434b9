"""The mathematics of diffusion: schedules, process, guidance, sampling. Knows no data and no models."""
