"""Language models: which endpoints there are, their models, and the connections to them."""
