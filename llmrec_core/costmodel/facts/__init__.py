"""What is known of models, devices, prices and grids, each with its source."""
