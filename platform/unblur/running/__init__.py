"""A list of trainings on Ray. Knows neither Optuna nor MLflow."""
