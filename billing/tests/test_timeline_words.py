"""Whatever is kept in a subscription's timeline has words for the operators who read it."""

import re

from django.conf import settings
from django.utils.translation import override

from billing.admin import timeline_words
from billing.gateway_subscriptions import CLOSING
from billing.models import SubscriptionEvent

KEPT = re.compile(r"timeline\.save\(\s*\w+,\s*\"(\w+)\"")


def test_fact_that_is_not_known_has_no_line() -> None:
    line = SubscriptionEvent(facts={"why": None, "plan": "elite"})
    assert [str(said) for said in timeline_words.facts_of(line)] == ["plan: elite"]


def kept() -> set[str]:
    files = (settings.BASE_DIR / "billing").glob("*.py")
    return {act for file in files for act in KEPT.findall(file.read_text())}


def test_every_act_that_the_code_keeps_has_words_in_both_languages() -> None:
    found = kept()
    assert {"paid", "overtaken", "adopted"} <= found  # the search finds them
    assert found | {CLOSING} == set(timeline_words.ACTS)
    english = {act: str(words) for act, words in timeline_words.ACTS.items()}
    with override("fr"):
        assert [act for act, words in timeline_words.ACTS.items() if str(words) == english[act]] == []
