"""What a data set gives away before anything is trained on it."""
