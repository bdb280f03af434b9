"""What a person runs: tune, train, evaluate, ablate, reproduce."""
