"""List prices of models in USD per million tokens, which equal credits per token (contract balance
§6), for plugins that show or charge costs.

Providers change them; an operator's ``tokenConfig`` takes precedence. A line is a price and the
names it applies to; a name applies to every model whose own name contains it, and the longest such
name counts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

Pair = tuple[float, float]


def _pairs(text: str) -> Mapping[str, Pair]:
    found: dict[str, Pair] = {}
    for line in text.strip().splitlines():
        if not line.startswith("#"):
            pair, *names = line.split()
            first, _, second = pair.partition("/")
            found |= dict.fromkeys(names, (float(first), float(second)))
    return found


PRICES = _pairs("""
# Other
30/60        8k
60/120       32k
1.5/2        4k
3/4          16k
0.3/0.7      holo2
12.5/12.5    j2-mid
18.8/18.8    j2-ultra
0.5/0.7      jamba-instruct
# Anthropic
0.8/2.4      claude- claude-instant
8/24         claude-2 claude-2.1
0.25/1.25    claude-3-haiku
3/15         claude-3-sonnet claude-3-5-sonnet claude-3.5-sonnet claude-3-7-sonnet
3/15         claude-3.7-sonnet claude-sonnet-4 claude-sonnet-4-5 claude-sonnet-4-6
15/75        claude-3-opus claude-opus-4
0.8/4        claude-3-5-haiku claude-3.5-haiku
1/5          claude-haiku-4-5
5/25         claude-opus-4-5 claude-opus-4-6 claude-opus-4-7 claude-opus-4-8 claude-opus-5
10/50        claude-fable-5 claude-mythos-5
2/10         claude-sonnet-5
# DeepSeek
0.28/0.42    deepseek deepseek-chat deepseek-reasoner
0.4/2        deepseek-r1
0.2/0.8      deepseek-v3
0.14/0.28    deepseek-v4-flash
0.435/0.87   deepseek-v4-pro
1.35/5.4     deepseek.r1
# Cohere
0.38/0.38    command
0.5/1.5      command-r
3/15         command-r-plus
1.5/2        command-text
2.5/10       command-a
0.3/0.6      command-light
# Google
0.02/0.04    gemma gemma-3
0.5/1.5      gemini gemini-pro-vision
0.01/0.03    gemma-2
0.09/0.16    gemma-3-27b
2.5/10       gemini-1.5
0.15/0.6     gemini-1.5-flash
0.075/0.3    gemini-1.5-flash-8b gemini-2.0-flash-lite
0.1/0.4      gemini-2.0 gemini-2.0-flash gemini-2.5-flash-lite
0.3/2.5      gemini-2.5 gemini-2.5-flash gemini-3.5-flash-lite
1.25/10      gemini-2.5-pro
0.15/30      gemini-2.5-flash-image
2/12         gemini-3 gemini-3.1
2/120        gemini-3-pro-image
0.25/1.5     gemini-3.1-flash-lite
1.5/9        gemini-3.5-flash
0.75/3.75    gemini-3.6-flash gemini-3.7-flash
# OpenAI
0.05/0.2     gpt-oss gpt-oss:20b gpt-oss-20b
1/2          gpt-3.5-turbo-1106
0.5/1.5      gpt-3.5-turbo-0125
10/30        gpt-4-1106
2/8          gpt-4.1 o3
0.1/0.4      gpt-4.1-nano
0.4/1.6      gpt-4.1-mini
75/150       gpt-4.5
2.5/10       gpt-4o
5/15         gpt-4o-2024-05-13
0.15/0.6     gpt-4o-mini gpt-oss:120b gpt-oss-120b
1.25/10      gpt-5 gpt-5.1 gpt-5-chat-latest gpt-5.1-chat-latest
1.75/14      gpt-5.2 gpt-5.3 gpt-5.2-chat-latest gpt-5.3-chat-latest
2.5/15       gpt-5.4
30/180       gpt-5.4-pro gpt-5.5-pro
0.75/4.5     gpt-5.4-mini
0.2/1.25     gpt-5.4-nano
5/30         gpt-5.5 gpt-5.6 chat-latest
2/12         gpt-5.6-terra
0.2/1.2      gpt-5.6-luna
0.05/0.4     gpt-5-nano
0.25/2       gpt-5-mini
15/120       gpt-5-pro
21/168       gpt-5.2-pro
15/60        o1 o1-preview
1.1/4.4      o1-mini o3-mini o4-mini
# xAI
2/10         grok grok-2 grok-2-1212 grok-2-latest grok-2-vision grok-2-vision-1212
2/10         grok-2-vision-latest
5/15         grok-beta grok-vision-beta
3/15         grok-3 grok-4
5/25         grok-3-fast
0.3/0.5      grok-3-mini
0.6/4        grok-3-mini-fast
0.2/0.5      grok-4-fast grok-4-1-fast
2/6          grok-4.5 grok-4-5 grok-4.6 grok-4-6
0.2/1.5      grok-code-fast
# Mistral
0.3/0.9      codestral
0.4/2        devstral
1.5/7.5      mistral-medium
0.1/0.4      voxtral
0.04/0.04    ministral-3b
0.1/0.1      ministral-8b
0.15/0.15    ministral-8b-2512 mistral-nemo
0.2/0.2      ministral-14b-2512
0.2/0.6      mistral-saba
2/6          pixtral-large mistral-large
0.65/0.65    mixtral-8x22b
0.15/0.2     mistral-7b mistral-small
0.45/0.7     mixtral-8x7b
4/12         mistral-large-2402
3/9          mistral-large-2407
# Moonshot
0.6/2.5      kimi kimi-k2 kimi-k2-0905 kimi-k2-0905-preview kimi-k2-0711 kimi-k2-0711-preview
0.6/2.5      kimi-k2-thinking moonshot.kimi moonshot.kimi-k2 moonshot.kimi-k2-thinking
2/5          moonshot moonshot-v1 moonshot-v1-auto moonshot-v1-128k moonshot-v1-128k-vision
2/5          moonshot-v1-128k-vision-preview
0.2/2        kimi-latest moonshot-v1-8k moonshot-v1-8k-vision moonshot-v1-8k-vision-preview
0.6/3        kimi-k2.5 moonshot.kimi-k2.5
1.15/8       kimi-k2-turbo kimi-k2-turbo-preview kimi-k2-thinking-turbo
3/15         kimi-k3 moonshot.kimi-k3 moonshotai.kimi-k3
1/3          moonshot-v1-32k moonshot-v1-32k-vision moonshot-v1-32k-vision-preview
# GLM
0.1/0.1      glm4 glm-4 glm-4-32b
0.35/1.55    glm-4.5
0.14/0.86    glm-4.5-air
0.6/1.8      glm-4.5v
0.5/1.75     glm-4.6
0.6/2.2      glm-4.7
0.06/0.4     glm-4.7-flash
1.4/4.4      glm-5 glm-5.1 glm-5.2 glm-5.3
# MiniMax
0.55/2.2     minimax-m1
0.3/1.2      minimax-m2 minimax-m2.7 minimax-m3
# Qwen
0.08/0.33    qwen qwen2.5
0.05/0.2     qwen-turbo qwen3-32b
0.4/1.2      qwen-plus
1.6/6.4      qwen-max
0.15/0.4     qwq-32b
0.035/0.138  qwen3 qwen3-8b
0.05/0.22    qwen3-14b
0.06/0.22    qwen3-30b-a3b
0.08/0.55    qwen3-235b-a22b
0.18/2.1     qwen3-vl-8b-thinking
0.18/0.69    qwen3-vl-8b-instruct
0.29/1       qwen3-vl-30b-a3b
0.3/1.2      qwen3-vl-235b-a22b
1.2/6        qwen3-max
0.22/0.95    qwen3-coder
0.06/0.25    qwen3-coder-30b-a3b
1/5          qwen3-coder-plus
0.3/1.5      qwen3-coder-flash
0.1/0.8      qwen3-next-80b-a3b
0.12/0.8     qwen3-coder-next
# Muse
1.25/4.25    musespark muse-spark muse-spark-1.1 muse-spark-1.2
0.3/1.2      muse-glimmer muse-glimmer-30b
# Llama
0.75/1       llama2 llama-2 llama2-13b
1.95/2.56    llama2:70b llama2-70b
0.3/0.6      llama3 llama-3 llama3-8b llama3:8b
2.65/3.5     llama3-70b llama3:70b llama3-3 llama3-3-70b llama3.3 llama3.3:70b llama-3.3
2.65/3.5     llama-3.3-70b
0.22/0.22    llama3-1 llama3-1-8b llama3.1 llama3.1:8b llama-3.1 llama-3.1-8b
0.72/0.72    llama3-1-70b llama3-2-90b llama3.1:70b llama3.2:90b llama-3.1-70b llama-3.2-90b
2.4/2.4      llama3-1-405b llama3.1:405b llama-3.1-405b
0.1/0.1      llama3-2 llama3-2-1b llama3.2 llama3.2:1b llama-3.2 llama-3.2-1b
0.15/0.15    llama3-2-3b llama3.2:3b llama-3.2-3b
0.16/0.16    llama3-2-11b llama3.2:11b llama-3.2-11b
0.1/0.3      llama4 llama-4 llama4-scout llama-4-scout
0.2/0.7      llama4-maverick llama-4-maverick
# Amazon
0.15/0.2     titan-text-lite
0.2/0.6      titan-text-express
0.5/1.5      titan-text-premier
0.035/0.14   nova-micro
0.06/0.24    nova-lite
0.8/3.2      nova-pro
2.5/12.5     nova-premier
0.3/2.5      nova-2-lite
""")
"""Prices of prompt and completion."""

CACHE = _pairs("""
3.75/0.3     claude-3.7-sonnet claude-3-7-sonnet claude-3.5-sonnet claude-3-5-sonnet
3.75/0.3     claude-sonnet-4 claude-sonnet-4-5 claude-sonnet-4-6
1/0.08       claude-3.5-haiku claude-3-5-haiku
0.3/0.03     claude-3-haiku gemini-3.5-flash-lite
1.25/0.1     claude-haiku-4-5
2.5/0.2      claude-sonnet-5 gpt-5.6-terra
18.75/1.5    claude-opus-4
6.25/0.5     claude-opus-4-5 claude-opus-4-6 claude-opus-4-7 claude-opus-4-8 claude-opus-5
6.25/0.5     gpt-5.6
12.5/1       claude-fable-5 claude-mythos-5
2.5/1.25     gpt-4o
0.15/0.075   gpt-4o-mini
2/0.5        gpt-4.1 o3
0.4/0.1      gpt-4.1-mini
0.1/0.025    gpt-4.1-nano
1.25/0.125   gpt-5 gpt-5.1 gpt-5-chat-latest gpt-5.1-chat-latest
1.75/0.175   gpt-5.2 gpt-5.3 gpt-5.2-chat-latest gpt-5.3-chat-latest
2.5/0.25     gpt-5.4
0.75/0.075   gpt-5.4-mini gemini-3.6-flash gemini-3.7-flash
0.2/0.02     gpt-5.4-nano
5/0.5        gpt-5.5 chat-latest
0.25/0.02    gpt-5.6-luna
0.25/0.025   gpt-5-mini gemini-3.1-flash-lite
0.05/0.005   gpt-5-nano
15/7.5       o1 o1-preview
1.1/0.55     o1-mini
1.1/0.275    o3-mini o4-mini
0.28/0.028   deepseek deepseek-chat deepseek-reasoner
0.6/0.15     kimi kimi-k2 kimi-k2-0905 kimi-k2-0905-preview kimi-k2-0711 kimi-k2-0711-preview
0.6/0.15     kimi-k2-thinking
0.6/0.1      kimi-k2.5
1.15/0.15    kimi-k2-turbo kimi-k2-turbo-preview kimi-k2-thinking-turbo
2/0.2        gemini-3.1
1.5/0.15     gemini-3.5-flash
""")
"""Prices of writing to and reading from the provider's cache."""

LONG_PROMPT: Mapping[str, int] = {
    "gemini-3.1": 200_000,
    "gpt-5.4": 272_000,
    "gpt-5.4-pro": 272_000,
    "gpt-5.5": 272_000,
    "gpt-5.5-pro": 272_000,
    "gpt-5.6": 272_000,
    "gpt-5.6-terra": 272_000,
    "gpt-5.6-luna": 272_000,
    "grok-4.5": 200_000,
    "grok-4-5": 200_000,
    "grok-4.6": 200_000,
    "grok-4-6": 200_000,
}
"""The number of prompt tokens above which a model has the prices below."""

LONG_PRICES = _pairs("""
4/18         gemini-3.1
5/22.5       gpt-5.4
60/270       gpt-5.4-pro gpt-5.5-pro
10/45        gpt-5.5 gpt-5.6
4/18         gpt-5.6-terra
0.4/1.8      gpt-5.6-luna
4/12         grok-4.5 grok-4-5 grok-4.6 grok-4-6
""")

LONG_CACHE = _pairs("""
5/0.5        gpt-5.4
10/1         gpt-5.5
12.5/1       gpt-5.6
5/0.4        gpt-5.6-terra
0.5/0.04     gpt-5.6-luna
""")

UNKNOWN = 6.0
"""The price of prompt and completion of a model that is in no table."""

OLD_NAMES = (
    ("gpt-3.5-turbo-16k", "16k"),
    ("gpt-3.5", "4k"),
    ("gpt-4-vision", "gpt-4-1106"),
    ("gpt-4-0125", "gpt-4-1106"),
    ("gpt-4-turbo", "gpt-4-1106"),
    ("gpt-4-32k", "32k"),
    ("gpt-4", "8k"),
)
"""(part of a name, name in the table) for models without a line of their own; the first match
counts."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices of one model in credits per token; ``write`` and ``read`` are those of the provider's
    cache."""

    prompt: float
    completion: float
    write: float
    read: float


@lru_cache(maxsize=4096)
def shown_prices(model: str) -> Mapping[str, float]:
    """``prompt``, ``completion`` and, for models with cache prices, ``cacheWrite`` and
    ``cacheRead``, as clients receive them. The mapping is shared: do not change it."""
    key = listed_name(model)
    found = (UNKNOWN, UNKNOWN) if key is None else (*PRICES[key], *CACHE.get(key, ()))
    return dict(zip(("prompt", "completion", "cacheWrite", "cacheRead"), found, strict=False))


@lru_cache(maxsize=4096)
def listed_name(model: str) -> str | None:
    """The name in the table that applies to a model, or ``None``."""
    name = model.lower()
    key = (_longest(name.rpartition("/")[2]) if "/" in name else None) or _longest(name)
    if key is not None:
        return key
    return next((key for part, key in OLD_NAMES if part in name), None)


def _longest(name: str) -> str | None:
    best, length = None, 0
    for key in PRICES:
        if len(key) >= length and key in name:  # a later line wins a tie
            best, length = key, len(key)
    return best


def listed_rates(model: str, prompt_tokens: int = 0) -> Rates:
    """The prices in the table for a model. ``prompt_tokens`` includes cached ones: a long prompt
    may have other prices."""
    key = listed_name(model)
    if key is None:
        return Rates(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    long = prompt_tokens > LONG_PROMPT.get(key, math.inf)
    prompt, completion = (LONG_PRICES.get(key) if long else None) or PRICES[key]
    cache = (LONG_CACHE.get(key) if long else None) or CACHE.get(key)
    write, read = cache or (prompt, prompt)
    return Rates(prompt, completion, write, read)
