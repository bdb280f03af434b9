"""Models of user and item embeddings."""
