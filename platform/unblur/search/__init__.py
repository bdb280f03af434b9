"""The search: space, study, sampler, pruner, storage, lock. Knows Optuna, not Ray or MLflow."""
