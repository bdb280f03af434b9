"""Fixtures of the project's tests."""

from tests.helpers.jobs import plays

__all__ = ["plays"]
