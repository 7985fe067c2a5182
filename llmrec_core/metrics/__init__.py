"""How good lists and predictions are, with intervals, and the exam that every model sits."""
