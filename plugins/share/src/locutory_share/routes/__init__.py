"""Routes of ``/api/share``."""
