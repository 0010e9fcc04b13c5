"""Rights on single resources: agents, prompts, links (roles §4)."""
