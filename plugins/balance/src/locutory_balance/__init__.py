"""Token balances: credits of users, prices of models, refills, and usage."""
