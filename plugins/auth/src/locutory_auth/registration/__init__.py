"""Registration, invitations and the verification of e-mail addresses."""
