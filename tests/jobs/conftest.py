"""Fixtures of the jobs' tests."""

from tests.helpers.jobs import data_flags, plays, run, run_here, space

__all__ = ["data_flags", "plays", "run", "run_here", "space"]
