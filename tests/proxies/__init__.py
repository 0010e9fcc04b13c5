"""Tests through real reverse proxies."""
