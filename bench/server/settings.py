"""The product's own settings; only the addresses of the rivals are added."""

from config.settings import *  # noqa: F403 - these are the settings, not a copy of some of them

ROOT_URLCONF = "bench.server.urls"
