"""Layers that networks share: sparse rows, linear layers, oneDNN's products."""
