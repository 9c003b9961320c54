import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from billing.models.refunds import RefundPolicy
from config import words


@pytest.mark.parametrize(
    ("name", "word", "said"),
    [
        ("SUBSCRIPTION_PRORATION", "consumtion", "SUBSCRIPTION_PRORATION is time or consumption, not 'consumtion'."),
        ("TAX_SCHEME", "", "TAX_SCHEME is none, franchise or standard, not ''."),
        ("REFUND_POLICY", "Proportional", "REFUND_POLICY is unspent_only, proportional, full_with_debt or goodwill"),
        ("REFUND_POLICY_MADE_AT_GATEWAY", "full", "REFUND_POLICY_MADE_AT_GATEWAY is full_with_debt or goodwill, not "),
        ("REFUND_POLICY_MADE_AT_GATEWAY", "proportional", "is full_with_debt or goodwill, not 'proportional'."),
        ("REFUND_POLICY_MADE_AT_GATEWAY", "unspent_only", "is full_with_debt or goodwill, not 'unspent_only'."),
        ("PAYPAL_WEBHOOK_CHECK", "online", "PAYPAL_WEBHOOK_CHECK is offline or ask, not 'online'."),
        ("CINETPAY_API", "v2", "CINETPAY_API is checkout_v2 or v1, not 'v2'."),
        ("LOG_FORMAT", "text", "LOG_FORMAT is json or pretty, not 'text'."),
        ("CUSTOMER_DEFAULT_LOCALE", "de", "CUSTOMER_DEFAULT_LOCALE is en or fr, not 'de'."),
        ("LANGUAGE_CODE", "de", "LANGUAGE_CODE is en or fr, not 'de'."),
        ("SELLER_TIME_ZONE", "Paris", "SELLER_TIME_ZONE is an IANA name, not 'Paris'."),
        ("CUSTOMER_DEFAULT_TIME_ZONE", "", "CUSTOMER_DEFAULT_TIME_ZONE is an IANA name, not ''."),
    ],
)
def test_a_word_that_is_not_known_stops_the_start(name: str, word: str, said: str) -> None:
    started = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        cwd=settings.BASE_DIR,
        env={**os.environ, name: word},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode != 0
    assert said in started.stderr


def test_words_of_refunds_are_those_of_the_code() -> None:
    assert list(settings.REFUND_POLICIES) == RefundPolicy.values


def test_languages_are_those_that_there_are() -> None:
    assert [code for code, _ in settings.LANGUAGES] == ["en", "fr"]


def test_known_word_is_taken() -> None:
    assert words.one_of("NAME", "b", ("a", "b")) == "b"
    with pytest.raises(ImproperlyConfigured, match=r"^NAME is a or b, not 'c'\.$"):
        words.one_of("NAME", "c", ("a", "b"))
