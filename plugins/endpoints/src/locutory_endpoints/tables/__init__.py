"""Facts about models and parameters, as data."""
