"""What a model costs on hardware one does not own: counts, devices, predictor, planner. No torch."""
