"""What roles may do: every permission that is declared, and how it is changed."""
