"""Reading of YAML and ``.env`` as the libraries of Node do, and of settings, with all errors."""

from locutory_configfile.env_file import EnvFile, read_env
from locutory_configfile.env_text import arithmetic, flag, from_text
from locutory_configfile.faults import Fault, Path, Unreadable, dotted, nearest
from locutory_configfile.fields import (
    BadVariables,
    Environment,
    allowed_words,
    env,
    env_name,
    env_text,
    environment_values,
    is_flag,
    option,
)
from locutory_configfile.models import Words, faults_of, known_keys, said, unread
from locutory_configfile.text import decoded, file_text
from locutory_configfile.variables import doubtful, http_address, misspelt
from locutory_configfile.yaml_file import Places, read_yaml

__all__ = [
    "BadVariables",
    "EnvFile",
    "Environment",
    "Fault",
    "Path",
    "Places",
    "Unreadable",
    "Words",
    "allowed_words",
    "arithmetic",
    "decoded",
    "dotted",
    "doubtful",
    "env",
    "env_name",
    "env_text",
    "environment_values",
    "faults_of",
    "file_text",
    "flag",
    "from_text",
    "http_address",
    "is_flag",
    "known_keys",
    "misspelt",
    "nearest",
    "option",
    "read_env",
    "read_yaml",
    "said",
    "unread",
]
