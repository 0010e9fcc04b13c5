"""The secrets of a deployment: their sources, the ciphers with them, and the record of the secrets
that belong to a database."""

from locutory_credentials.ciphers import Credentials
from locutory_credentials.fingerprints import COLLECTION, record_fingerprints
from locutory_credentials.private_file import write_private
from locutory_credentials.secrets import FILE, NAMES, SecretsUnusable, load_credentials

__all__ = [
    "COLLECTION",
    "FILE",
    "NAMES",
    "Credentials",
    "SecretsUnusable",
    "load_credentials",
    "record_fingerprints",
    "write_private",
]
