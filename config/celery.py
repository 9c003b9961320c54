"""Celery: one application, its queues, and the table of every sweep that the beat starts."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("tirelire")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
