"""Files of strangers → a data set: what they are, what their columns mean, within limits."""
