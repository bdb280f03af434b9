"""One module per recommender: a Config and a Model."""
