"""Lists of prompts that a caller sees."""
