"""Pages on which a customer gives a card to be saved: begun, and followed until the gateway says what became of them.

Three steps as for money: the row is committed, the gateway is called, the outcome is written. The customer's return and
the gateway's letter only say when to ask; a sweep asks where both are lost.
"""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from billing import calling, errors, gateway_choices, gateway_customers, payments, returning, saved_methods, schedule
from billing.gateways import registry
from billing.gateways.errors import Declined, GatewayError, Unavailable
from billing.gateways.subscribing import KeepsMethods, SetupRequest, SetupResult, SetupState
from billing.models import MethodSetup, Payment
from billing.models.saved_methods import MethodSetupState
from rest import sweeps

logger = logging.getLogger(__name__)
LEAST_LEFT = timedelta(hours=1)  # of the life of a page that is shown once more
_ENDS = {
    SetupState.FAILED: MethodSetupState.FAILED,
    SetupState.CANCELLED: MethodSetupState.FAILED,
    SetupState.EXPIRED: MethodSetupState.EXPIRED,
}


def start(*, user: User, currency: str = "", success_url: str = "", cancel_url: str = "") -> MethodSetup:
    """Open a page; the one that stands open already is shown again, so that no number of clicks makes many."""
    success = returning.checked(success_url, "success_url")
    cancel = returning.checked(cancel_url, "cancel_url")
    rows = MethodSetup.objects.filter(user=user, state=MethodSetupState.OPEN)
    for known in rows.filter(success_url=success, cancel_url=cancel).order_by("-id"):
        if _is_good_for_a_while(known):
            return known
    name = _gateway()
    with transaction.atomic(durable=True):
        made = MethodSetup.objects.create(
            user=user, gateway=name, success_url=success, cancel_url=cancel, next_ask_at=_next_ask(0)
        )
    try:
        gateway_customers.make_known(user=user, gateway=name, reference=made.pk.hex)
        request = SetupRequest(
            reference=made.pk.hex,
            buyer=gateway_customers.buyer(user, name),
            success_url=returning.told(success, settings.CHECKOUT_SUCCESS_URL, made.pk, name="setup"),
            cancel_url=returning.told(cancel, settings.CHECKOUT_CANCEL_URL, made.pk, name="setup"),
            currency=currency or _usual_currency(user),
        )
        result = calling.call(name, "setup", lambda: _adapter(name).open_setup(request), is_new_attempt=True)
    except (Declined, Unavailable) as refusal:
        _note(made, SetupResult(state=SetupState.FAILED), code=refusal.code)  # it surely opened nothing
        raise
    return _note(made, result)


def _is_good_for_a_while(setup: MethodSetup) -> bool:
    said = str(setup.next_action.get("expires_at", ""))
    return bool(said) and datetime.fromisoformat(said) > timezone.now() + LEAST_LEFT


def _gateway() -> str:
    """The operators' first that saves methods."""
    for each in gateway_choices.candidates():
        if each.is_enabled and each.is_configured and isinstance(registry.get(each.name), KeepsMethods):
            return each.name
    raise errors.NoGatewayKeepsMethods


def _adapter(name: str) -> KeepsMethods:
    adapter = registry.get(name)
    assert isinstance(adapter, KeepsMethods)  # noqa: S101 - it was chosen for that
    return adapter


def _usual_currency(user: User) -> str:
    """The one that they last paid in: methods that are for another are not offered to them."""
    last = Payment.objects.of(user).order_by("-id").values_list("currency", flat=True).first()
    return last or settings.CREDITS_OFFER_CURRENCY


# ---------------------------------------------------------------- what became of it


def ask(setup: MethodSetup) -> MethodSetup:
    """What the gateway says now, written down. A GatewayError means that it said nothing, and nothing has changed."""
    if setup.state != MethodSetupState.OPEN:
        return setup
    adapter = _adapter(setup.gateway)
    result = calling.call(
        setup.gateway,
        "fetch",
        lambda: adapter.fetch_setup(ids=setup.gateway_ids, reference=setup.pk.hex, created_at=setup.created_at),
    )
    return _note(setup, result)


@transaction.atomic
def _note(seen: MethodSetup, result: SetupResult, *, code: str = "") -> MethodSetup:
    setup = MethodSetup.objects.select_for_update(of=("self",), no_key=True).select_related("user").get(pk=seen.pk)
    if setup.state != MethodSetupState.OPEN:
        return setup
    setup.gateway_ids = {**setup.gateway_ids, **result.ids}
    if result.state is SetupState.SUCCEEDED and result.method is not None:
        setup.method = saved_methods.remember(user=setup.user, gateway=setup.gateway, method=result.method)
        _over(setup, MethodSetupState.SAVED)
    elif (end := _ENDS.get(result.state)) or _was_never_made(setup, result):
        setup.failure_code = (code or (result.failure.code if result.failure else ""))[:100]
        _over(setup, end or MethodSetupState.EXPIRED)
    else:
        setup.next_action = payments.told(result.next_action) if result.next_action else {}
        setup.next_ask_at = _next_ask(setup.asks)
    setup.save()
    return setup


def _was_never_made(setup: MethodSetup, result: SetupResult) -> bool:
    if result.state is not SetupState.NOT_FOUND:
        return False
    return schedule.proves_absence(schedule.Sent.PAGE, setup.created_at, now=timezone.now(), answers=1)


def _over(setup: MethodSetup, state: MethodSetupState) -> None:
    setup.state, setup.ended_at, setup.next_ask_at, setup.next_action = state, timezone.now(), None, {}
    logger.info("method_setup.over", extra={"setup": str(setup.pk), "state": state.value})


def _next_ask(asks: int) -> datetime:
    """The customer has a page open, and the gateway will write to us: seldom is enough."""
    return timezone.now() + schedule.after(settings.PAYMENT_WAIT_SECONDS, asks)


def named(gateway: str, reference: str) -> MethodSetup | None:
    try:
        return MethodSetup.objects.filter(gateway=gateway, pk=UUID(hex=reference)).first() if reference else None
    except ValueError:
        return None


# ---------------------------------------------------------------- sweep


def ask_due(now: datetime | None = None) -> int:
    """Ask about every one whose time has come; returns how many were asked."""
    due = _claim(now or timezone.now())
    for setup in due:
        with sweeps.alone("method_setup.not_asked", setup=str(setup.pk)):
            _quietly_ask(setup)
    return len(due)


def _quietly_ask(setup: MethodSetup) -> None:
    try:
        ask(setup)
    except (GatewayError, registry.UnknownGateway) as error:
        logger.info("method_setup.not_told", extra={"setup": str(setup.pk), "why": type(error).__name__})


def _claim(now: datetime) -> list[MethodSetup]:
    def ask_again(setup: MethodSetup) -> None:
        setup.asks += 1
        setup.next_ask_at = _next_ask(setup.asks)

    due = MethodSetup.objects.due(now).select_related("user")
    return sweeps.claim(
        due, by="next_ask_at", most=settings.PAYMENT_SWEEP_BATCH, then=ask_again, writes=["asks", "next_ask_at"]
    )
