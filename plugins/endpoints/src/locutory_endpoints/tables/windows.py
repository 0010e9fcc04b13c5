"""Context windows by model family (endpoints §8), in tokens.

A little is taken off where providers count what clients cannot see. The longest key that
occurs in the model's name wins.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

V = TypeVar("V")

UNKNOWN = 32_000
_UNKNOWN_CLAUDE = 100_000

WINDOWS: dict[str, int] = {
    # OpenAI
    "gpt-3.5-turbo": 16_375,
    "gpt-4": 8_187,
    "gpt-4-32k": 32_758,
    "gpt-4-1106": 127_500,
    "gpt-4-0125": 127_500,
    "gpt-4-turbo": 127_500,
    "gpt-4-vision": 127_500,
    "gpt-4o": 127_500,
    "gpt-4.5": 127_500,
    "gpt-4.1": 1_047_576,
    "o1": 195_000,
    "o1-mini": 127_500,
    "o1-preview": 127_500,
    "o3": 200_000,
    "o3-mini": 195_000,
    "o4-mini": 200_000,
    "gpt-5": 400_000,
    "gpt-5.4": 1_050_000,
    "gpt-5.4-mini": 400_000,
    "gpt-5.4-nano": 400_000,
    "gpt-5.5": 1_050_000,
    "gpt-5.6": 1_050_000,
    "chat-latest": 400_000,
    "chatgpt-4o": 127_500,
    "gpt-oss": 131_000,
    # Anthropic
    "claude-": _UNKNOWN_CLAUDE,
    "claude-2.1": 200_000,
    "claude-3": 200_000,
    "claude-4": 200_000,
    "claude-haiku-4": 200_000,
    "claude-opus-4": 200_000,
    "claude-sonnet-4": 200_000,
    "claude-opus-4-6": 1_000_000,
    "claude-opus-4.6": 1_000_000,
    "claude-opus-4-7": 1_000_000,
    "claude-opus-4.7": 1_000_000,
    "claude-opus-4-8": 1_000_000,
    "claude-opus-4.8": 1_000_000,
    "claude-sonnet-4-6": 1_000_000,
    "claude-sonnet-4.6": 1_000_000,
    "claude-opus-5": 1_000_000,
    "claude-sonnet-5": 1_000_000,
    "claude-haiku-5": 1_000_000,
    "claude-fable-5": 1_000_000,
    "claude-mythos-5": 1_000_000,
    # Google
    "gemini": 30_720,
    "gemini-1.5": 1_000_000,
    "gemini-2.0": 2_000_000,
    "gemini-2.0-flash": 1_000_000,
    "gemini-2.5": 1_000_000,
    "gemini-3": 1_000_000,
    "gemini-3.5-flash": 1_048_576,
    "gemini-3.6-flash": 1_048_576,
    "gemini-3.7-flash": 1_048_576,
    "gemma": 32_768,
    "gemma-3": 128_000,
    "gemma3": 128_000,
    # Others
    "deepseek": 128_000,
    "deepseek-v4": 1_048_576,
    "mistral": 31_990,
    "mistral-small": 31_990,
    "mistral-medium": 131_000,
    "mistral-large": 131_000,
    "mistral-nemo": 131_000,
    "ministral": 131_000,
    "magistral": 40_000,
    "mixtral-8x7b": 31_990,
    "mixtral-8x22b": 65_536,
    "pixtral": 131_000,
    "devstral": 128_000,
    "codestral": 256_000,
    "command": 4_086,
    "command-r": 127_500,
    "command-a": 255_500,
    "llama2": 4_000,
    "llama-2": 4_000,
    "llama3": 8_000,
    "llama-3": 8_000,
    "llama3.1": 127_500,
    "llama3-1": 127_500,
    "llama-3.1": 127_500,
    "llama3.2": 127_500,
    "llama3-2": 127_500,
    "llama-3.2": 127_500,
    "llama3.3": 127_500,
    "llama3-3": 127_500,
    "llama-3.3": 127_500,
    "llama4": 1_048_576,
    "llama-4": 1_048_576,
    "qwen": 32_000,
    "qwen3": 40_960,
    "qwen3-coder": 262_144,
    "qwen3-next": 262_144,
    "qwen3.5": 262_144,
    "qwen3.6": 262_144,
    "qwq": 32_000,
    "phi-3": 127_500,
    "phi-4": 16_000,
    "grok": 131_072,
    "grok-4": 256_000,
    "grok-4-fast": 2_000_000,
    "grok-4.1-fast": 2_000_000,
    "kimi": 262_144,
    "moonshot": 131_072,
    "glm-4": 128_000,
    "glm-4.6": 200_000,
    "glm-5": 200_000,
    "minimax-m": 200_000,
    "titan-text": 8_000,
    "nova-micro": 127_000,
    "nova-lite": 295_000,
    "nova-pro": 295_000,
    "nova-premier": 995_000,
    "jamba": 255_500,
    "fable-5": 1_000_000,
}


def longest_match(model: str, table: Mapping[str, V]) -> V | None:
    """The value of the longest key that occurs in the model's name, after cutting the part before
    its last ``/``; an exact key wins."""
    name = model.rpartition("/")[2].lower()
    exact = table.get(name)
    if exact is not None:
        return exact
    best = max((key for key in table if key in name), key=len, default=None)
    return None if best is None else table[best]


@lru_cache(maxsize=4096)
def window(model: str) -> int | None:
    """The built-in context window of a model, or ``None`` for an unknown one."""
    return longest_match(model, WINDOWS)
