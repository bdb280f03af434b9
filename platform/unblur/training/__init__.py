"""One training loop; in place or on Ray Train workers."""
