"""Families of endpoints, each one an entry of ``LLM_PROVIDERS``."""
