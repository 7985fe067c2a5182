"""What every part may name: specs, questions, families, the recommender, a run's context."""
