"""Secrets of a deployment and the ciphers of stored values (collections §2).

``v1``: AES-256-CBC with the fixed ``CREDS_IV``; ``v2``: CBC with a random IV; ``v3``: CTR with a
random IV. The formats are LibreChat's, so that both can read them: each field is written in the
form that LibreChat v0.8.8 reads there, and read in every form.
"""

import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets and their ciphers. ``creds_key`` has 32 bytes, ``creds_iv`` 16 bytes; JWT secrets
    are text."""

    jwt_secret: str = field(repr=False)
    jwt_refresh_secret: str = field(repr=False)
    creds_key: bytes = field(repr=False)
    creds_iv: bytes = field(repr=False)

    def _cbc(self, iv: bytes) -> Cipher[modes.CBC]:
        return Cipher(algorithms.AES(self.creds_key), modes.CBC(iv))

    def _encrypt_cbc(self, text: str, iv: bytes) -> str:
        padder = padding.PKCS7(128).padder()
        padded = padder.update(text.encode()) + padder.finalize()
        encryptor = self._cbc(iv).encryptor()
        return (encryptor.update(padded) + encryptor.finalize()).hex()

    def _decrypt_cbc(self, ciphertext: str, iv: bytes) -> str:
        decryptor = self._cbc(iv).decryptor()
        padded = decryptor.update(bytes.fromhex(ciphertext)) + decryptor.finalize()
        unpadder = padding.PKCS7(128).unpadder()
        return (unpadder.update(padded) + unpadder.finalize()).decode()

    def encrypt_v1(self, text: str) -> str:
        """Encrypt in the form of provider keys and plugin values: hex ciphertext."""
        return self._encrypt_cbc(text, self.creds_iv)

    def encrypt_v2(self, text: str) -> str:
        """Encrypt in the form ``<iv hex>:<ciphertext hex>``."""
        iv = os.urandom(16)
        return f"{iv.hex()}:{self._encrypt_cbc(text, iv)}"

    def encrypt_v3(self, text: str) -> str:
        """Encrypt in the form ``v3:<iv hex>:<ciphertext hex>``."""
        iv = os.urandom(16)
        encryptor = Cipher(algorithms.AES(self.creds_key), modes.CTR(iv)).encryptor()
        return f"v3:{iv.hex()}:{(encryptor.update(text.encode()) + encryptor.finalize()).hex()}"

    def decrypt(self, value: str) -> str:
        """Decrypt a stored value of any form: newer versions of LibreChat write v3 where older ones
        wrote v1 or v2. ``ValueError`` when the value is damaged or was encrypted with other secrets
        (which is not always detectable for v3)."""
        first, colon, rest = value.partition(":")
        if not colon:
            return self._decrypt_cbc(value, self.creds_iv)
        if first != "v3":
            return self._decrypt_cbc(rest, bytes.fromhex(first))
        iv, _, ciphertext = rest.partition(":")
        decryptor = Cipher(algorithms.AES(self.creds_key), modes.CTR(bytes.fromhex(iv))).decryptor()
        return (decryptor.update(bytes.fromhex(ciphertext)) + decryptor.finalize()).decode()
