"""What a recommender costs on this machine: by the clock, by formula, by the meter."""
