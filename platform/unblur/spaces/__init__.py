"""What is diffused: one module per space."""
