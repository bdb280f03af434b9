"""Recommenders that read a user's history in its order."""
