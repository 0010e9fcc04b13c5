"""The keys that LibreChat knows inside each section of ``librechat.yaml``.

They distinguish a key that no plugin reads yet from a misspelt one. ``*`` is any name; a key
without keys of its own may hold anything. Some are former keys of LibreChat, which old files still
contain.
"""

from typing import Any


def _keys(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split())


_COMMON = _keys(
    "streamRate baseURL headers titleConvo titleModel titleMethod titleEndpoint titlePrompt "
    "titlePromptTemplate titleTiming activityLabel activityModel activityEndpoint "
    "activityPrompt activityMaxPerRun activityCharLimit activityPhaseLabel activityPhaseModel "
    "activityPhaseEndpoint activityPhasePrompt activityPhaseMaxPerRun reasoningLabel "
    "reasoningLabelModel reasoningLabelEndpoint reasoningLabelPrompt reasoningLabelMinChars "
    "reasoningLabelUpdateChars reasoningLabelUpdateIntervalMs reasoningLabelMaxPerRun "
    "maxToolResultChars summarize summaryModel"
)

KEYS: dict[str, Any] = {
    "ocr": _keys("allowedAddresses mistralModel apiKey apiKeyPreview baseURL strategy"),
    "webSearch": {
        **_keys(
            "allowedAddresses serperApiKey serperApiKeyPreview searxngInstanceUrl "
            "searxngApiKey searxngApiKeyPreview firecrawlApiKey firecrawlApiKeyPreview "
            "firecrawlApiUrl firecrawlVersion tavilyApiKey tavilyApiKeyPreview "
            "tavilySearchUrl tavilyExtractUrl jinaApiKey jinaApiKeyPreview jinaApiUrl "
            "cohereApiKey cohereApiKeyPreview searchProvider scraperProvider rerankerType "
            "scraperTimeout safeSearch"
        ),
        "firecrawlOptions": {
            **_keys(
                "formats includeTags excludeTags headers waitFor timeout maxAge mobile "
                "skipTlsVerification blockAds removeBase64Images parsePDF storeInCache "
                "zeroDataRetention onlyMainContent"
            ),
            "location": _keys("country languages"),
            "changeTrackingOptions": _keys("modes schema prompt tag"),
        },
        "tavilySearchOptions": {
            **_keys(
                "searchDepth maxResults includeImages includeAnswer includeRawContent "
                "includeDomains excludeDomains topic timeRange includeImageDescriptions "
                "includeFavicon chunksPerSource safeSearch timeout"
            ),
        },
        "tavilyScraperOptions": _keys("extractDepth includeImages includeFavicon format timeout"),
    },
    "langfuse": {
        **_keys("enabled publicKey secretKey projectId secretKeyPreview destination headers"),
    },
    "memory": {
        **_keys(
            "disabled validKeys tokenLimit charLimit maxInputTokens personalize messageWindowSize"
        ),
        "agent": _keys("enabled id provider model instructions model_parameters"),
    },
    "summarization": {
        **_keys(
            "enabled provider model parameters prompt updatePrompt reserveRatio maxSummaryTokens"
        ),
        "trigger": _keys("type value"),
        "contextPruning": {
            **_keys("enabled keepLastAssistants softTrimRatio hardClearRatio minPrunableToolChars"),
        },
        "retainRecent": _keys("turns tokens"),
    },
    "skillSync": {
        "github": {
            **_keys("enabled intervalMinutes runOnStartup"),
            "sources": {
                **_keys("id owner repo ref paths skillDiscoveryDepth credentialKey token tenantId"),
            },
        },
    },
    "mcpServers": {
        "*": {
            **_keys(
                "title description startup iconPath timeout sseReadTimeout initTimeout "
                "chatMenu serverInstructions requiresOAuth oauth_headers type command args "
                "env stderr cwd url headers proxy"
            ),
            "oauth": {
                **_keys(
                    "authorization_url token_url client_id client_secret scope redirect_uri "
                    "token_exchange_method grant_types_supported "
                    "token_endpoint_auth_methods_supported response_types_supported "
                    "code_challenge_methods_supported skip_code_challenge_check audience "
                    "forward_audience_on_refresh revocation_endpoint "
                    "revocation_endpoint_auth_methods_supported"
                ),
            },
            "apiKey": _keys("key source authorization_type custom_header"),
            "customUserVars": {
                "*": _keys("title description sensitive"),
            },
            "obo": _keys("scopes"),
        },
    },
    "mcpSettings": _keys("allowedDomains allowedAddresses"),
    "interface": {
        **_keys(
            "customWelcome modelSelect parameters multiConvo bookmarks memories presets "
            "temporaryChat temporaryChatRetention autoSubmitFromUrl retentionMode "
            "retainAgentFiles runCode webSearch contextUsage contextCost fileSearch "
            "fileCitations defaultPinnedTools buildInfo endpointsMenu sidePanel userMemories "
            "bookmarksMenu"
        ),
        "privacyPolicy": _keys("externalUrl openNewTab"),
        "termsOfService": _keys("externalUrl openNewTab modalAcceptance modalTitle modalContent"),
        "mcpServers": {
            **_keys("placeholder use create share public configureObo"),
            "trustCheckbox": _keys("label subLabel"),
        },
        "prompts": _keys("use create share public"),
        "agents": _keys("use create share public"),
        "currency": _keys("code rate"),
        "peoplePicker": _keys("users groups roles"),
        "marketplace": _keys("use"),
        "remoteAgents": _keys("use create share public"),
        "skills": _keys("use create share public defaultActiveOnShare"),
        "sharedLinks": _keys("create share public snapshotFiles"),
    },
    "turnstile": {
        **_keys("siteKey"),
        "options": _keys("language size"),
    },
    "fileStrategies": _keys("default avatar image document skills"),
    "cloudfront": {
        **_keys(
            "domain distributionId invalidateOnDelete imageSigning urlExpiry cookieExpiry "
            "cookieDomain storageRegion includeRegionInPath requireSignedAccess"
        ),
    },
    "actions": _keys("allowedDomains allowedAddresses"),
    "registration": _keys("socialLogins allowedDomains"),
    "balance": {
        **_keys(
            "enabled startBalance autoRefillEnabled refillIntervalValue refillIntervalUnit "
            "refillAmount"
        ),
    },
    "transactions": _keys("enabled"),
    "speech": {
        "tts": {
            **_keys("allowedAddresses"),
            "openai": _keys("url apiKey apiKeyPreview model voices"),
            "azureOpenAI": {
                **_keys("instanceName apiKey apiKeyPreview deploymentName apiVersion model voices"),
            },
            "elevenlabs": {
                **_keys(
                    "url websocketUrl apiKey apiKeyPreview model voices "
                    "pronunciation_dictionary_locators"
                ),
                "voice_settings": _keys("similarity_boost stability style use_speaker_boost"),
            },
            "localai": _keys("url apiKey apiKeyPreview voices backend"),
        },
        "stt": {
            **_keys("allowedAddresses"),
            "openai": _keys("url apiKey apiKeyPreview model"),
            "azureOpenAI": _keys("instanceName apiKey apiKeyPreview deploymentName apiVersion"),
        },
        "speechTab": {
            **_keys("conversationMode advancedMode"),
            "speechToText": {
                **_keys("engineSTT languageSTT autoTranscribeAudio decibelValue autoSendText"),
            },
            "textToSpeech": {
                **_keys("engineTTS voice languageTTS automaticPlayback playbackRate cacheTTS"),
            },
        },
    },
    "rateLimits": {
        "fileUploads": _keys("ipMax ipWindowInMinutes userMax userWindowInMinutes"),
        "conversationsImport": _keys("ipMax ipWindowInMinutes userMax userWindowInMinutes"),
        "tts": _keys("ipMax ipWindowInMinutes userMax userWindowInMinutes"),
        "stt": _keys("ipMax ipWindowInMinutes userMax userWindowInMinutes"),
    },
    "fileConfig": {
        **_keys("serverFileSizeLimit avatarSizeLimit fileTokenLimit"),
        "endpoints": {
            "*": _keys("disabled fileLimit fileSizeLimit totalSizeLimit supportedMimeTypes"),
        },
        "skills": _keys("fileSizeLimit"),
        "imageGeneration": _keys("percentage px"),
        "clientImageResize": _keys("enabled maxWidth maxHeight quality"),
        "ocr": _keys("supportedMimeTypes"),
        "text": _keys("supportedMimeTypes"),
    },
    "modelSpecs": {
        **_keys("enforce prioritize addedEndpoints"),
        "list": {
            **_keys(
                "name label preset order default softDefault description group groupIcon "
                "showIconInMenu showIconInHeader showOnLanding conversation_starters "
                "showInMenu iconURL authType hideBadgeRow webSearch fileSearch executeCode "
                "memory askUserQuestion runInBackground describeIntent artifacts mcpServers "
                "skills"
            ),
            "subagents": _keys("enabled allowSelf agent_ids"),
        },
    },
    "messageFilter": {
        "pii": {
            **_keys("starterPatterns"),
            "customPatterns": _keys("id label regex"),
        },
    },
    "endpoints": {
        **_keys("allowedAddresses"),
        "all": {
            **_COMMON,
        },
        "openAI": {
            **_COMMON,
        },
        "google": {
            **_COMMON,
        },
        "anthropic": {
            **_COMMON,
            **_keys("models"),
            "vertex": {
                **_keys("enabled projectId region serviceKeyFile deploymentName"),
                "models": {
                    "*": _keys("deploymentName"),
                },
            },
        },
        "azureOpenAI": {
            **_COMMON,
            **_keys("plugins assistants"),
            "groups": {
                **_keys(
                    "group apiKey serverless instanceName deploymentName assistants addParams "
                    "dropParams version baseURL additionalHeaders"
                ),
                "models": {
                    "*": _keys("deploymentName version assistants"),
                },
            },
        },
        "azureAssistants": {
            **_COMMON,
            **_keys(
                "disableBuilder pollIntervalMs timeoutMs version supportedIds excludedIds "
                "privateAssistants retrievalModels capabilities apiKey apiKeyPreview"
            ),
            "models": {
                **_keys("fetch userIdQuery"),
                "default": _keys("name description"),
            },
        },
        "assistants": {
            **_COMMON,
            **_keys(
                "disableBuilder pollIntervalMs timeoutMs version supportedIds excludedIds "
                "privateAssistants retrievalModels capabilities apiKey apiKeyPreview"
            ),
            "models": {
                **_keys("fetch userIdQuery"),
                "default": _keys("name description"),
            },
        },
        "agents": {
            **_COMMON,
            **_keys(
                "recursionLimit disableBuilder maxRecursionLimit maxToolCallArgBytes "
                "maxDeltaEventsPerTurn maxToolCallArgBytesByTool maxCitations "
                "maxCitationsPerFile minRelevanceScore allowedProviders capabilities"
            ),
            "skills": _keys("maxCatalogSkills"),
            "remoteApi": {
                "auth": {
                    "apiKey": _keys("enabled"),
                    "oidc": _keys("enabled issuer audience jwksUri scope"),
                },
            },
            "toolApproval": {
                **_keys("enabled mode allow deny ask reason"),
                "hooks": _keys("module matcher options"),
            },
            "checkpointer": {
                **_keys("type ttl checkpointCollectionName checkpointWritesCollectionName"),
            },
        },
        "custom": {
            **_COMMON,
            **_keys(
                "name apiKey apiKeyPreview iconURL modelDisplayLabel provider addParams "
                "dropParams directEndpoint titleMessageRole summarize summaryModel "
                "forcePrompt"
            ),
            "models": {
                **_keys("fetch userIdQuery"),
                "default": _keys("name description"),
            },
            "customParams": {
                **_keys(
                    "defaultParamsEndpoint reasoningFormat reasoningKey "
                    "includeReasoningContent includeReasoningHistory"
                ),
                "paramDefinitions": {
                    **_keys(
                        "key description type default showLabel showDefault options range "
                        "enumMappings component optionType columnSpan columns label "
                        "placeholder labelCode placeholderCode descriptionCode minText "
                        "maxText minTags maxTags includeInput descriptionSide "
                        "searchPlaceholder selectPlaceholder searchPlaceholderCode "
                        "selectPlaceholderCode"
                    ),
                },
            },
            "tokenConfig": {
                "*": _keys("prompt completion context cacheRead cacheWrite"),
            },
        },
        "bedrock": {
            **_COMMON,
            **_keys("availableRegions models inferenceProfiles"),
            "guardrailConfig": {
                **_keys("guardrailIdentifier guardrailVersion trace streamProcessingMode"),
            },
        },
    },
}
