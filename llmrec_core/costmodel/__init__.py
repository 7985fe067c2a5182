"""What a model costs on hardware one does not own: facts, predictions, plans. No torch."""
