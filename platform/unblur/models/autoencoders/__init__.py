"""Models that complete a history through a narrow middle."""
