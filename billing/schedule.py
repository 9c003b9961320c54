"""When a gateway is asked about what nobody knows, and when its silence proves something. Pure but for the settings."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings


class Sent(StrEnum):
    PAYMENT = "payment"
    REFUND = "refund"
    PAYOUT = "payout"
    PAGE = "page"  # of a plan, or of a card to be saved: nothing is charged before somebody has filled it in


def next_ask_at(sent_at: datetime, *, now: datetime) -> datetime | None:
    """The next time to ask about a call whose outcome is unknown. None: it stands before operators, with the money
    still reserved; nothing is ever given up by itself."""
    age = (now - sent_at).total_seconds()
    often, often_until = settings.GATEWAY_ASK_OFTEN_SECONDS, settings.GATEWAY_ASK_OFTEN_UNTIL_SECONDS
    seldom, until = settings.GATEWAY_ASK_SELDOM_SECONDS, settings.GATEWAY_ASK_UNTIL_SECONDS
    moments = [*settings.GATEWAY_ASK_AFTER_SECONDS, *range(often, often_until + 1, often)]
    moments += range(often_until + seldom, until + 1, seldom)
    later = [moment for moment in sorted(moments) if moment > age and moment <= until]
    return sent_at + timedelta(seconds=later[0]) if later else None


def late_ask_at(ended_at: datetime, *, now: datetime) -> datetime | None:
    """The next time to ask once more about an attempt that expired or was given up: it may have been paid late."""
    age = (now - ended_at).total_seconds()
    later = [moment for moment in sorted(settings.GATEWAY_ASK_LATE_SECONDS) if moment > age]
    return ended_at + timedelta(seconds=later[0]) if later else None


def after(pauses: Sequence[int], number: int) -> timedelta:
    """The pause behind that many before it: of what is done less and less often, and at last as seldom as the last."""
    return timedelta(seconds=pauses[min(number, len(pauses) - 1)])


def proves_absence(kind: Sent, sent_at: datetime, *, now: datetime, answers: int) -> bool:
    """Whether "not found", said `answers` times in a row, means that nothing was made: some are slow to know. Of a page
    once is enough: it moves no money by itself."""
    is_payout = kind is Sent.PAYOUT
    wanted = 1 if kind is Sent.PAGE else settings.GATEWAY_NOT_FOUND_ANSWERS
    grace = settings.GATEWAY_NOT_FOUND_PAYOUT_SECONDS if is_payout else settings.GATEWAY_NOT_FOUND_PAYMENT_SECONDS
    return answers >= wanted and now - sent_at >= timedelta(seconds=grace)
