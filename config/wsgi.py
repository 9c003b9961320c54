"""The WSGI application that granian serves: API, admin and pages."""

import os

import embedded
from config import doors

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
if "SUPERVISED" in os.environ:  # by `manage.py up`: should granian's own main process be killed, its workers go too
    embedded.end_with_parent()
application = doors.opened()
