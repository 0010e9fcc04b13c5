"""These tests need what an installation does not have: ``python3 install.py --dev --all``."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("secantus") else ["test_*"]
