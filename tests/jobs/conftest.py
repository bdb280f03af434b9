"""Fixtures of the jobs' tests."""

from running import data_flags, plays, run, space

__all__ = ["data_flags", "plays", "run", "space"]
