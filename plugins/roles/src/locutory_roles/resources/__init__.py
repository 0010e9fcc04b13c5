"""Rights on single resources: who may do what with which agent, prompt, link (roles §4)."""
