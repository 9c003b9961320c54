"""The ASGI application of the stream process, served by uvicorn. What ends soon is served by config/wsgi.py."""

import os
from typing import Any, cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_django = get_asgi_application()

from config import streams  # noqa: E402 - after django.setup()
from events.stream.endpoints import Streams  # noqa: E402

application = Streams(streams.house(others=cast("Any", _django)))
