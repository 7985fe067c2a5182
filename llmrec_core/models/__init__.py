"""Language models: loaded safely, cut into blocks, read packed; and the sequence model over ids."""
