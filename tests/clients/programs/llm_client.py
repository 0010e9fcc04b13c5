"""The command ``llm``, with the agent as a model of its file."""

import os
import pathlib
import subprocess
import sys
import tempfile

from steps import AGENT, BASE, KEY, SUNNY, WEATHER, got, step

folder = pathlib.Path(tempfile.mkdtemp())
(folder / "extra-openai-models.yaml").write_text(
    f"- model_id: mine\n  model_name: {AGENT}\n  api_base: {BASE}\n  api_key_name: mine\n"
)


def llm(*words):
    program = pathlib.Path(sys.executable).with_name("llm")
    environment = {**os.environ, "LLM_USER_PATH": str(folder)}
    done = subprocess.run(
        [program, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


@step
def prompts():
    for options in ((), ("--no-stream",)):
        assert llm("-m", "mine", "--key", KEY, *options, "ECHO:hi").stdout.strip() == "hi"
        assert llm("-m", "mine", "--key", KEY, *options, WEATHER).stdout.strip() == SUNNY


@step
def usage():
    told = llm("-m", "mine", "--key", KEY, "-u", "ECHO:hi").stderr
    assert "Token usage" in told
    assert "0 input" not in told.replace("10 input", "")


@step
def system_and_a_second_turn():
    llm("-m", "mine", "--key", KEY, "-s", "Be kind.", "ECHO:one")
    assert got()[0] == ["system", "Be brief.\n\nBe kind."]
    llm("-c", "--key", KEY, "ECHO:two")
    assert [text for _, text in got()[1:]] == ["ECHO:one", "one", "ECHO:two"]
