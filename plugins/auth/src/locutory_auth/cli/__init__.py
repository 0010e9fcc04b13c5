"""``locutory user``: looks after accounts from the command line."""
