"""What a month of traffic takes: devices, dollars, energy, and what a training job takes."""
