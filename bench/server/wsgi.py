"""The WSGI application that granian serves to the benchmarks."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.server.settings"
application = get_wsgi_application()
