"""The typed promises that Locutory's plugins share: keys, Protocols, events, value types.

No input or output happens here, and nothing of the web framework or the database is used.
"""
