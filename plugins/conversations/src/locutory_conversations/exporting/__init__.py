"""Everything of a user as one stream of records, and back."""
