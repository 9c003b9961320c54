"""`bench webhooks`: gateways' notifications proven, stored and acknowledged a second; and read by a worker a second."""

import contextlib
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.test.utils import override_settings
from django.utils import timezone

from bench import databases, load, machine, measuring, web
from bench.load import Load, Result
from bench.measuring import Figures, Measure, Say, Target, WentWrong
from billing import inbox, payments
from billing.gateways import registry
from billing.gateways.base import (
    Capabilities,
    CheckoutRequest,
    Flow,
    Hint,
    NextAction,
    PaymentRef,
    PaymentResult,
    PaymentState,
    Trust,
)
from billing.gateways.subjects import Subject
from billing.models import GatewayLetter, Payment
from billing.models.payments import PaymentKind, PaymentStatus

SECRET = "whsec_sandbox"  # noqa: S105 - of the sandbox
RIVALS = {
    "ours": ("/webhooks/stripe", "POST /webhooks/stripe: proven, stored once, acknowledged"),
    "bare": ("/webhooks/bench/letter/bare", "a bare view that only inserts a row, behind as little middleware"),
    "usual": ("/api/bench/letter-usual", "construct_event, ORM, one task per event, as usual behind all of it"),
    "short": ("/webhooks/bench/letter/usual", "the usual way behind as little middleware as ours"),
}


class Instant:
    """A gateway that knows every payment as paid, without a network: what is left is our own work."""

    name = "stripe"
    capabilities = Capabilities(flows=frozenset({Flow.REDIRECT}), currencies={})

    def missing_settings(self) -> tuple[str, ...]:
        return ()

    def check_health(self) -> None:
        return None

    def open_checkout(self, request: CheckoutRequest) -> PaymentResult:
        page = NextAction(type=Flow.REDIRECT, url="https://pay.example/")
        return PaymentResult(state=PaymentState.REQUIRES_ACTION, next_action=page)

    def fetch_payment(self, payment: PaymentRef) -> PaymentResult:
        return PaymentResult(state=PaymentState.SUCCEEDED, amount=payment.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    rounds: int
    seconds: float
    letters: int  # that a worker reads in one turn
    database: str
    template: str | None
    keep: bool


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--letters", type=int, help="how many letters a worker reads in one turn")


def run(options: dict[str, Any], say: Say) -> dict[str, Any]:
    quick = options["quick"]
    plan = Plan(
        rounds=options["rounds"] or (3 if quick else 5),
        seconds=options["seconds"] or (2 if quick else 5),
        letters=options["letters"] or (100 if quick else 1_000),
        database=options["database"],
        template=options["template"],
        keep=options["keep"],
    )
    found = machine.describe()
    for line in found.lines():
        say(line)
    results: dict[str, list[Result]] = {name: [] for name in RIVALS}
    with _database(plan), web.serving(plan.database) as port:
        figures = measuring.in_turns(_rivals(plan, port, results), rounds=plan.rounds, say=say)
    judged = targets(figures)
    for line in _report(figures, results, judged):
        say(line)
    return {"machine": found, "rounds": figures.rounds, "targets": judged}


@contextlib.contextmanager
def _database(plan: Plan) -> Iterator[None]:
    databases.create(plan.database, plan.template)
    try:
        yield
    finally:
        if not plan.keep:
            databases.drop(plan.database)
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            if keys := client.keys(f"{plan.database}:*"):
                client.delete(*keys)


def _rivals(plan: Plan, port: int, results: dict[str, list[Result]]) -> dict[str, Measure]:
    def acknowledged(name: str) -> Measure:
        def measure() -> float:
            path = RIVALS[name][0]
            sent = Load(host=web.HOST, port=port, path=path, token="", customers=1, seconds=plan.seconds, secret=SECRET)
            results[name].append(load.run(sent))
            return results[name][-1].per_second

        return measure

    return {name: acknowledged(name) for name in RIVALS} | {"read": lambda: _read(plan)}


def _read(plan: Plan) -> float:
    """Letters about as many payments, each paid and delivered by one worker; the gateway answers at once."""
    with databases.using(plan.database), _instant_gateway(), override_settings(INBOX_DRAIN_SECONDS=600):
        for attempt in _attempts(plan.letters):
            inbox.store("stripe", [_hint(attempt)])
        started = time.perf_counter()
        done = inbox.drain()
        took = time.perf_counter() - started
        unpaid = Payment.objects.exclude(status=PaymentStatus.SUCCEEDED).count()
        if unpaid:
            raise WentWrong(f"{unpaid} payments were not paid by {done} letters.")
    return plan.letters / took


@contextlib.contextmanager
def _instant_gateway() -> Iterator[None]:
    usual = dict(registry.BUILDERS)
    registry.BUILDERS["stripe"] = Instant
    registry.forget()
    try:
        yield
    finally:
        registry.BUILDERS.update(usual)
        registry.forget()


def _attempts(count: int) -> list[Any]:
    """Each of another buyer, as they mostly are. Letters of the measured server are put aside."""
    GatewayLetter.objects.filter(state="pending").update(state="done")
    first = User.objects.count()
    users = User.objects.bulk_create([User(username=f"letter-{first + number}") for number in range(count)])
    details = {
        "credits": 250,
        "bonus": 25,
        "unit": "CREDIT",
        "expires_after_days": None,
        "bonus_expires_after_days": None,
    }
    made = []
    for user in users:
        payment = Payment.objects.create(
            user=user,
            kind=PaymentKind.PACK,
            item="medium",
            description="Pack Medium",
            details=details,
            amount_minor=999,
            currency="EUR",
            expires_at=timezone.now(),
        )
        made.append(payments.begin(payment=payment, gateway_name="stripe"))
    return made


def _hint(attempt: Any) -> Hint:
    return Hint(
        event_id=f"evt_{attempt.reference}",
        kind="checkout.session.completed",
        subject=Subject.PAYMENT,
        trust=Trust.SIGNED,
        reference=attempt.reference,
    )


def targets(figures: Figures) -> list[Target]:
    return [
        Target(
            sentence="acknowledged, to a bare insert",
            value=figures.ratio("ours", "bare"),
            least=0.8,
        ),
        Target(sentence="acknowledged, to the usual way", value=figures.ratio("ours", "usual"), least=4.0),
    ]


def _report(figures: Figures, results: dict[str, list[Result]], judged: list[Target]) -> Iterator[str]:
    rows = [("", "a second", "p50 ms", "p99 ms")]
    for name, (_, words) in RIVALS.items():
        middle = sorted(results[name], key=lambda result: result.per_second)[len(results[name]) // 2]
        rows.append((words, f"{figures.median(name):,.0f}", f"{middle.p50_ms:.1f}", f"{middle.p99_ms:.1f}"))
    rows.append(("letters read by one worker, each a payment delivered", f"{figures.median('read'):,.0f}", "", ""))
    yield from measuring.table(rows)
    for target in judged:
        yield target.line()
