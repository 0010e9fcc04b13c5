"""Language models: which endpoints there are, their models, and the line to them."""
