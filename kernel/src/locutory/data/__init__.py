"""Where state is kept: the database, and what workers share."""
