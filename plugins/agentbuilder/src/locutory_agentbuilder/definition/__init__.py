"""The parts of an agent: validation of the fields that users set, and the fields derived from
them."""
