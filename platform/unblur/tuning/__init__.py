"""The search: space, study, trial, tuner."""
