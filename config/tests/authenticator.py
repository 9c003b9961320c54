"""An authenticator app for the tests: RFC 6238, written again so that it checks the library's arithmetic."""

import base64
import hashlib
import hmac
import re
import struct
import time

from django.test import Client


def code(secret: str, *, steps_ahead: int = 0) -> str:
    counter = int(time.time()) // 30 + steps_ahead
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def sign_in(client: Client, username: str, password: str, next_url: str = ""):
    data = {"login": username, "password": password, **({"next": next_url} if next_url else {})}
    return client.post("/accounts/login/", data)


def set_up(client: Client) -> str:
    """Scan the picture of the set-up page (the secret stands beside it) and type the first code."""
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    secret = re.search(r'value="([A-Z2-7]{32})"', page)
    assert secret, page
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code(secret[1])})
    assert answer.status_code == 302, answer.content.decode()
    return secret[1]
