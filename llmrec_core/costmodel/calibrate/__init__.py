"""Where the coefficients and their intervals come from, and how well they hold."""
