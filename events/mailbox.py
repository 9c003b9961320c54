"""A mailbox of files for a laptop: each e-mail is one .eml file, which any mail program opens."""

import re
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone


class FileBackend(BaseEmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder = Path(settings.EMAIL_FILE_PATH)
        folder.mkdir(parents=True, exist_ok=True)
        for each in email_messages:
            content = each.message()
            name = re.sub(r"[^0-9a-z-]+", "-", str(content["Message-ID"]).lower()).strip("-")
            path = folder / f"{timezone.now():%Y%m%d-%H%M%S}-{name}.eml"
            path.write_bytes(content.as_bytes())
        return len(email_messages)
