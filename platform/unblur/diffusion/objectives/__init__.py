"""Objectives: what training minimises, one file per choice."""

from unblur.registry import modules

OBJECTIVES = modules("objective", __name__)
