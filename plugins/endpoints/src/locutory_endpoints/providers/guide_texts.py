"""The texts of the guide. Each must be true wherever it is shown; texts that depend on the
configuration are chosen by `Texts`."""

CONFIG_VERSION = "1.3.14"
"""``version`` of the configuration file in every example."""

_INTRODUCTION = """I am the **guide** of this server: a small built-in helper, not a language model. \
{state}

"""
_ALONE = "No model is connected yet, so I answer by simple rules."
_BESIDE_MODELS = "I answer by simple rules."

_COMMANDS = """- Write **add a provider** to learn how to connect OpenAI, Ollama or any compatible service.
- Write **markdown**, **code**, **math** or **table** to see how answers look.
- Write **think** to see how a model's reasoning is shown.
- Write **echo** and some words, and I repeat them.
- Write **help** for this list again.
"""

UNKNOWN = """I have no answer to that: I know only a few topics, and I am not a language model. \
Write **help** to see them, or **add a provider** to learn how to connect a model that can answer.
"""

_OLLAMA = """**A local model.** Start [Ollama](https://ollama.com) on this machine and pull a \
model, for example `ollama pull llama3.2`. Nothing has to be configured: wait a minute, reload this \
page, and it is in the model menu.

"""

_PROVIDERS = f"""**OpenAI.** Put the key into the file `.env` in the folder in which the server is \
started, and start it again:

```sh
OPENAI_API_KEY=sk-...
```

With `OPENAI_API_KEY=user_provided` every user enters their own key.

**Any OpenAI-compatible service** (OpenRouter, Groq, Mistral, vLLM, llama.cpp, LM Studio, …) goes \
into `librechat.yaml`:

```yaml
version: {CONFIG_VERSION}
endpoints:
  custom:
    - name: "My models"
      apiKey: "${{MY_KEY}}"
      baseURL: "https://example.com/v1"
      models:
        default: ["some-model"]
        fetch: true
```

with `MY_KEY=...` in `.env`. After a change of `librechat.yaml`, send the server `SIGHUP`; after one \
of `.env`, start it again. Then reload this page.
"""

_MAKES_ROOM = "As soon as another endpoint is there, I make room for it.\n"

MARKDOWN = """## A piece of Markdown

Text can be **bold**, *italic*, ~~struck out~~ or `code`. A [link](https://commonmark.org) too.

1. First
2. Second
   - with a detail

> A quotation stands apart.

---

Write **code**, **table** or **math** for more.
"""

CODE = """Code is shown with its colours and can be copied:

```python
from collections.abc import Iterator


def fibonacci(count: int) -> Iterator[int]:
    \"\"\"The first Fibonacci numbers.\"\"\"
    current, following = 0, 1
    for _ in range(count):
        yield current
        current, following = following, current + following


print(list(fibonacci(10)))
```
"""

MATH = """The roots of $ax^2 + bx + c = 0$ are

$$
x_{1,2} = \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}
$$

and the best known sum of all is

$$
\\sum_{n=1}^{\\infty} \\frac{1}{n^2} = \\frac{\\pi^2}{6}.
$$
"""

TABLE = """| Way | Needs | Good for |
|---|---|---|
| Ollama | a machine with memory | private, free |
| OpenAI | a key | strong models |
| Custom endpoint | an address and a key | everything else |
"""

THOUGHT = (
    "The user wants to see how reasoning is shown. I have none of my own, so these words are "
    "all there is to see."
)
THOUGHT_ANSWER = "Above this answer is the reasoning, folded away: click it to read it."

NO_CLOCK = (
    "I have no clock of my own. Where a tool named `current_datetime` is offered to me, I call it "
    "when somebody asks for the time."
)

_ASK_FOR_HELP = ("help", "hilfe", "commands")
_ASK_FOR_PROVIDERS = (
    "provider",
    "providers",
    "api key",
    "key",
    "openai",
    "ollama",
    "connect",
    "model",
    "models",
)


class Texts:
    """The texts of a configuration. ``alone``: the guide is there only as long as no model is;
    ``ollama``: a local one is looked for."""

    def __init__(self, *, alone: bool = True, ollama: bool = True) -> None:
        state = _ALONE if alone else _BESIDE_MODELS
        self.welcome = _INTRODUCTION.format(state=state) + _COMMANDS
        local, room = _OLLAMA if ollama else "", f"\n{_MAKES_ROOM}" if alone else ""
        self.topics: tuple[tuple[tuple[str, ...], str], ...] = (
            (_ASK_FOR_HELP, self.welcome),
            (_ASK_FOR_PROVIDERS, f"## Connecting a model\n\n{local}{_PROVIDERS}{room}"),
            (("markdown",), MARKDOWN),
            (("code", "python", "program"), CODE),
            (("math", "latex", "formula", "formel"), MATH),
            (("table", "tabelle"), TABLE),
        )
        """Words in a question → the answer; the first that fits."""
