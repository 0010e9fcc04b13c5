"""The HTTP server below the kernel: connections, proxies in front, and the final form of
responses."""
