"""Reads YAML and ``.env`` as the libraries of Node do, and finds what is wrong in it."""

from locutory_configfile.env_file import EnvFile, read_env
from locutory_configfile.faults import Fault, Path, Unreadable, dotted, nearest
from locutory_configfile.models import Words, faults_of, known_keys, said, unread
from locutory_configfile.text import decoded, file_text
from locutory_configfile.yaml_file import Places, read_yaml

__all__ = [
    "EnvFile",
    "Fault",
    "Path",
    "Places",
    "Unreadable",
    "Words",
    "decoded",
    "dotted",
    "faults_of",
    "file_text",
    "known_keys",
    "nearest",
    "read_env",
    "read_yaml",
    "said",
    "unread",
]
