"""Models that are fitted in one go."""
