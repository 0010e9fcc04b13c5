"""Providers with fixed addresses (contract oauth §2, §4). Each module is imported only when its
provider is configured."""
