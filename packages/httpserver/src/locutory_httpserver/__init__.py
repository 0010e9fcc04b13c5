"""The HTTP server below the kernel: connections, proxies in front, and finished answers."""
