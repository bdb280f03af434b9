"""MLflow: parent run, child runs, registered models. Nothing else imports mlflow."""
