"""Configurations as people write them, with every plugin on: checked, and described for editors."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from locutory import StartupError
from locutory.commands import build
from locutory.config.configuration import Configuration, Sources, validate, vocabulary
from locutory.plugins import discovery
from locutory.plugins.discovery import load
from locutory_cli.schema import schema_of
from locutory_configfile import known_keys, read_yaml

ROOT = Path(__file__).resolve().parents[2]

SMALL = """
version: 1.3.14
cache: true
registration:
  socialLogins: [github, google]
  allowedDomains: [example.com]
endpoints:
  custom:
    - name: OpenRouter
      apiKey: ${OPENROUTER_KEY}
      baseURL: https://openrouter.ai/api/v1
      models: {default: [meta-llama/llama-3.3-70b-instruct], fetch: true}
      titleConvo: true
      titleModel: current_model
      modelDisplayLabel: OpenRouter
      dropParams: [stop]
      headers: {X-Title: "{{LIBRECHAT_USER_ID}}"}
      addParams: {plugins: [{id: web}], web_search: true}
    - name: ollama
      baseURL: http://host.docker.internal:11434/v1/
      models: {default: [llama3:latest, {name: qwen3, description: Small}]}
"""

OLD = """
version: 1.0.5
cache: true
interface:
  endpointsMenu: true
  modelSelect: true
  parameters: true
  sidePanel: true
  presets: true
  prompts: true
  bookmarks: true
  multiConvo: false
  agents: true
  privacyPolicy: {externalUrl: https://x.example/privacy, openNewTab: true}
  termsOfService:
    externalUrl: https://x.example/tos
    modalAcceptance: true
    modalTitle: Terms
    modalContent: |
      # Terms
      yes: on
fileStrategy: local
rateLimits:
  fileUploads: {ipMax: 100, ipWindowInMinutes: 60, userMax: 50, userWindowInMinutes: 60}
  conversationsImport: {ipMax: 100, ipWindowInMinutes: 60, userMax: 50, userWindowInMinutes: 60}
endpoints:
  azureOpenAI:
    titleModel: gpt-4o
    plugins: true
    groups:
      - group: eastus
        apiKey: ${AZURE_KEY}
        instanceName: east
        version: 2024-02-15-preview
        models:
          gpt-4o: {deploymentName: four, version: "2024-05-13"}
          gpt-4-turbo: true
        additionalHeaders: {X-A: b}
  assistants: {disableBuilder: false, pollIntervalMs: 750, timeoutMs: 180000}
  custom:
    - name: groq
      apiKey: ${GROQ_API_KEY}
      baseURL: https://api.groq.com/openai/v1/
      models: {default: [llama3-70b-8192], fetch: false}
      titleConvo: true
      titleModel: mixtral-8x7b-32768
      summarize: false
      summaryModel: mixtral
      forcePrompt: false
      modelDisplayLabel: groq
fileConfig:
  endpoints:
    assistants: {fileLimit: 5, fileSizeLimit: 10, supportedMimeTypes: ["image/.*"]}
    default: {totalSizeLimit: 20}
  serverFileSizeLimit: 100
  avatarSizeLimit: 2
"""

LARGE = """
version: 1.3.11
secureImageLinks: true
imageOutputType: webp
interface:
  customWelcome: Hello {{user.name}}
  fileSearch: true
  webSearch: false
  prompts: {use: true, create: true, share: false, public: false}
  agents: {use: true, create: false}
  sharedLinks: {create: true, share: true, public: false, snapshotFiles: false}
  peoplePicker: {users: true, groups: false, roles: false}
  marketplace: {use: true}
  mcpServers: {use: true, create: false, placeholder: Tools, trustCheckbox: {label: Trust}}
  temporaryChatRetention: 24
  retentionMode: all
  currency: {code: EUR, rate: 0.92}
balance: {enabled: true, startBalance: 20000, autoRefillEnabled: true, refillIntervalValue: 30,
  refillIntervalUnit: days, refillAmount: 10000}
transactions: {enabled: true}
turnstile: {siteKey: x, options: {language: auto, size: normal}}
mcpServers:
  files: {type: stdio, command: npx, args: [-y, server], env: {A: b}, timeout: 60000}
  api: {type: streamable-http, url: https://x/mcp, headers: {Authorization: Bearer x}}
mcpSettings: {allowedDomains: [x]}
actions: {allowedDomains: [swapi.dev, "https://api.example.com:8443"]}
speech: {stt: {openai: {apiKey: x, model: whisper-1}}, speechTab: {conversationMode: true}}
ocr: {strategy: mistral_ocr, apiKey: "${OCR}", mistralModel: m}
webSearch: {searchProvider: serper, serperApiKey: "${SERPER_API_KEY}", safeSearch: 1}
memory:
  disabled: false
  validKeys: [preferences]
  tokenLimit: 10000
  personalize: true
  messageWindowSize: 5
  agent: {enabled: true, provider: openAI, model: gpt-4o-mini, instructions: Keep.,
    model_parameters: {temperature: 0.1}}
summarization: {enabled: true, trigger: {type: token_ratio, value: 0.8}, retainRecent: {turns: 2}}
messageFilter: {pii: {starterPatterns: [sk_prefix], customPatterns: [{id: a, label: A, regex: x}]}}
langfuse: {headers: {A: b}}
skillSync: {github: {enabled: false, sources: [{id: a, owner: o, repo: r, paths: [s], token: t}]}}
modelSpecs:
  enforce: false
  prioritize: true
  addedEndpoints: [openAI]
  list:
    - name: four
      label: Four
      default: true
      description: The one
      iconURL: openAI
      group: openAI
      preset: {endpoint: openAI, model: gpt-4o, promptPrefix: Hi, temperature: 1.0, anything: 1}
      webSearch: false
      mcpServers: [files]
endpoints:
  allowedAddresses: ["10.0.0.5:11434"]
  all: {streamRate: 25, titleTiming: final, headers: {A: b}, activityLabel: true}
  openAI: {titleConvo: true, summarize: true}
  anthropic: {models: [claude], vertex: {region: us-east5, models: {a: {deploymentName: b}}}}
  bedrock: {availableRegions: [us-east-1], guardrailConfig: {guardrailIdentifier: x}}
  agents:
    recursionLimit: 50
    maxRecursionLimit: 100
    disableBuilder: false
    capabilities: [tools, artifacts]
    maxToolCallArgBytesByTool: {create_file: 200000}
    allowedProviders: [openAI]
    remoteApi: {auth: {apiKey: {enabled: true}, oidc: {enabled: false}}}
    toolApproval: {enabled: true, mode: default, allow: ["*"]}
    checkpointer: {type: memory}
  custom:
    - name: Mistral
      apiKey: user_provided
      baseURL: user_provided
      iconURL: https://x/y.png
      models: {fetch: true, default: [mistral-large], userIdQuery: false}
      customParams:
        defaultParamsEndpoint: anthropic
        paramDefinitions: [{key: temperature, default: 0.5}]
      tokenConfig: {mistral-large: {prompt: 2, completion: 6, context: 128000}}
      directEndpoint: true
      titleMessageRole: user
plugins:
  search: {follow_seconds: 10}
"""


def read(text: str) -> dict[str, Any]:
    value: dict[str, Any] = read_yaml(text)[0]
    return value


@pytest.fixture(scope="module")
def plugins() -> Any:
    points = discovery.available()
    return load(points, sorted(points))


@pytest.fixture(scope="module")
def check(plugins: Any) -> Any:
    def run(yaml: dict[str, Any], **environment: str) -> Configuration:
        return validate(Sources(environment, yaml), plugins, discovery.available())

    return run


@pytest.fixture(scope="module")
def schema(plugins: Any) -> dict[str, Any]:
    return schema_of(plugins, discovery.available(), vocabulary())


@pytest.mark.parametrize("text", [SMALL, OLD, LARGE], ids=["small", "old", "large"])
def test_real_files_are_right_without_a_warning(check: Any, schema: Any, text: str) -> None:
    assert check(read(text)).warnings == []
    validator = jsonschema_rs.validator_for(schema)
    assert [str(each) for each in validator.iter_errors(read(text))] == []


def test_notes_are_few(check: Any) -> None:
    found = check(read(LARGE)).notes
    assert sorted(note.partition("'")[2].partition("'")[0] for note in found[:-2] if "'" in note)
    assert any("endpoints.all.activityLabel" in note for note in found)
    assert len(found) < 20


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ({"registration": {"allowedDomain": ["x"]}}, "registration.allowedDomain, did you mean 'allowedDomains'?"),
        ({"balance": {"enable": True}}, "balance.enable, did you mean 'enabled'?"),
        ({"transactions": {"enabeld": True}}, "transactions.enabeld, did you mean 'enabled'?"),
        ({"interface": {"presetss": False}}, "interface.presetss, did you mean 'presets'?"),
        ({"interface": {"prompts": {"creat": True}}}, "interface.prompts.creat, did you mean 'create'?"),
        ({"interface": {"termsOfService": {"modalTitel": "x"}}}, "interface.termsOfService.modalTitel, did you mean 'modalTitle'?"),
        ({"memory": {"messageWindow": 5}}, "memory.messageWindow, did you mean 'messageWindowSize'?"),
        ({"memory": {"agent": {"temperature": 1}}}, "memory.agent.temperature"),
        ({"turnstile": {"siteKey": "x", "option": {}}}, "turnstile.option, did you mean 'options'?"),
        ({"turnstile": {"siteKey": "x", "options": {"sise": 1}}}, "turnstile.options.sise, did you mean 'size'?"),
        ({"messageFilter": {"pi": {}}}, "messageFilter.pi, did you mean 'pii'?"),
        ({"messageFilter": {"pii": {"starterPattern": []}}}, "messageFilter.pii.starterPattern, did you mean 'starterPatterns'?"),
        ({"rateLimits": {"conversationImport": {}}}, "rateLimits.conversationImport, did you mean 'conversationsImport'?"),
        ({"rateLimits": {"conversationsImport": {"ipMaxx": 1}}}, "rateLimits.conversationsImport.ipMaxx, did you mean 'ipMax'?"),
        ({"modelSpecs": {"enforced": True}}, "modelSpecs.enforced, did you mean 'enforce'?"),
        ({"modelSpecs": {"list": [{"name": "a", "label": "A", "preset": {}, "defalt": True}]}}, "modelSpecs.list.0.defalt, did you mean 'default'?"),
        ({"endpoints": {"all": {"titelModel": "x"}}}, "endpoints.all.titelModel, did you mean 'titleModel'?"),
        ({"endpoints": {"agents": {"recursionLimits": 5}}}, "endpoints.agents.recursionLimits, did you mean 'recursionLimit'?"),
        ({"endpoints": {"agents": {"remoteApi": {"auth": {"oidcs": {}}}}}}, "endpoints.agents.remoteApi.auth.oidcs, did you mean 'oidc'?"),
        ({"endpoints": {"custom": [{"name": "a", "titleConvoo": True}]}}, "endpoints.custom.0.titleConvoo, did you mean 'titleConvo'?"),
        ({"endpoints": {"custom": [{"models": {"fetched": True}}]}}, "endpoints.custom.0.models.fetched, did you mean 'fetch'?"),
        ({"endpoints": {"azureOpenAI": {"groups": [{"group": "g", "apiKey": "k", "instanceName": "i", "models": {"m": True}, "versoin": "x"}]}}}, "endpoints.azureOpenAI.groups.0.versoin, did you mean 'version'?"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_misspelt_keys_are_told_in_every_section(check: Any, yaml: Any, said: str) -> None:
    (found,) = check(yaml).warnings
    assert found.startswith(f"nobody reads {said}")


@pytest.mark.parametrize(
    ("yaml", "where"),
    [
        ({"registratoin": {}}, "registratoin"),
        ({"endpoints": {"opneAI": {}}}, "endpoints.opneAI"),
        ({"plugins": {"auth": {"nosuch": 1}}}, "plugins.auth.nosuch"),
        ({"plugins": {"auht": {}}}, "plugins.auht"),
    ],
)
def test_keys_that_stop_the_start_as_in_librechat(check: Any, yaml: Any, where: str) -> None:
    with pytest.raises(StartupError) as raised:
        check(yaml)
    assert where in [problem.where for problem in raised.value.problems]


def test_a_folder_without_a_client_is_refused(check: Any, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"CLIENT_DIST.*has no index.html"):
        check({}, CLIENT_DIST=str(tmp_path))
    (tmp_path / "index.html").write_text("")
    assert check({}, CLIENT_DIST=str(tmp_path)).warnings == []


def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    jsonschema_rs.meta.validate(schema)
    found = 0

    def walk(part: Any) -> None:
        nonlocal found
        if isinstance(part, dict):
            reference = part.get("$ref")
            if isinstance(reference, str):
                assert reference.startswith("#/$defs/"), reference
                assert reference.removeprefix("#/$defs/") in schema["$defs"], reference
                found += 1
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            for inner in part:
                walk(inner)

    walk(schema)
    assert found > 50
    assert set(vocabulary()["sections"]) <= schema["properties"].keys()


def test_the_example_fits_the_schema(schema: dict[str, Any], check: Any) -> None:
    example = read((ROOT / "config" / "locutory.example.yaml").read_text("utf-8"))
    assert jsonschema_rs.validator_for(schema).is_valid(example)
    assert check(example).warnings == []


@pytest.mark.parametrize(
    ("yaml", "right"),
    [
        ({"interface": {"prompts": True, "agents": False, "sharedLinks": True}}, True),
        ({"interface": {"sharedLinks": {"public": True, "snapshotFiles": False}}}, True),
        ({"interface": {"anything": 1}, "speech": {"x": 1}}, True),
        ({"plugins": {"disabled": ["auth"], "auth": {"min_password_length": 12}}}, True),
        ({"interface": {"prompts": "yes"}}, False),
        ({"endpoints": {"opneAI": {}}}, False),
        ({"balance": {"startBalance": "many"}}, False),
        ({"plugins": {"auth": {"nosuch": 1}}}, False),
        ({"nosuch": {}}, False),
    ],
)
def test_the_schema_says_what_the_server_says(
    schema: dict[str, Any], check: Any, yaml: Any, right: bool
) -> None:
    assert jsonschema_rs.validator_for(schema).is_valid(yaml) is right
    if right:
        check(yaml)
    else:
        with pytest.raises(StartupError):
            check(yaml)


def test_what_plugins_reload_exists(plugins: Any) -> None:
    """A name that is misspelt here would promise what does not happen."""
    for plugin in plugins:
        names = {*plugin.Config.model_fields, *plugin.sections}
        for key, model in plugin.sections.items():
            names |= {f"{key}.{name}" for name in (known_keys(model) if model else ())}
        assert set(plugin.reloads) <= names, plugin.name
        assert plugin.reloads or not hasattr(plugin, "reload"), plugin.name


def test_what_plugins_reload_is_taken() -> None:
    """By the hook, or by a value that ``ctx.config_ref`` keeps current."""
    secrets = {"JWT_SECRET": "x" * 32, "JWT_REFRESH_SECRET": "y" * 32}
    secrets |= {"CREDS_KEY": "00" * 32, "CREDS_IV": "00" * 16}
    kernel = build(Sources(secrets, {}), writes=False)
    for plugin in kernel.plugins:
        takes = hasattr(plugin, "reload") or kernel.config_refs[plugin.name]
        assert takes or not plugin.reloads, plugin.name
