"""Fixtures of the jobs' tests."""

from tests.helpers.jobs import data_flags, plays, run, space

__all__ = ["data_flags", "plays", "run", "space"]
