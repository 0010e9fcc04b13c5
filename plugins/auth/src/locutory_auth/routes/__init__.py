"""Routes of ``/api/auth``, and of e-mail verification below ``/api/user``."""
