"""Sessions: tokens, cookies, rotation, ending them."""
