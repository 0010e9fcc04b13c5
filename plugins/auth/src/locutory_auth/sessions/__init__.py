"""Sessions: tokens, cookies, rotation, ending them, and the accounts that were read for them."""
