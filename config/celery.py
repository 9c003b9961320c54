"""Celery: one application, its queues, and the table of every sweep that the beat starts."""

import os
from dataclasses import dataclass, field
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import after_task_publish, setup_logging
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

QUEUES = {
    "default": "what a customer waits for",
    "upkeep": "what nobody waits for: heartbeats, purges, roll-ups",
}
UPKEEP_APPS = {"config", "rest"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """A task that the beat starts again and again; it finds its own work, so that a lost message loses nothing."""

    task: str
    every: str | crontab  # the setting that says how many seconds, or a calendar
    arguments: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


# Every entry has a test that runs its task; config/tests/test_celery.py looks for it.
SWEEPS = {
    **{
        f"heartbeat of {queue}": Sweep(
            task="config.tasks.heartbeat", every="HEARTBEAT_SECONDS", arguments=(queue,), options={"queue": queue}
        )
        for queue in QUEUES
    },
    "old idempotency records": Sweep(task="rest.tasks.purge_idempotency_records", every=crontab(minute="17")),
    "grants that are due": Sweep(task="credits.tasks.grant_due", every="CREDITS_GRANT_DUE_SECONDS"),
    "expired grants": Sweep(task="credits.tasks.expire_grants", every="CREDITS_EXPIRE_GRANTS_SECONDS"),
    "expired holds": Sweep(task="credits.tasks.expire_holds", every="CREDITS_EXPIRE_HOLDS_SECONDS"),
    "credits about to expire": Sweep(task="credits.tasks.warn_of_expiry", every="CREDITS_EXPIRING_SECONDS"),
    "sales that have cleared": Sweep(task="wallets.tasks.release_sales", every="WALLETS_RELEASE_SALES_SECONDS"),
    "reserves that have ended": Sweep(task="wallets.tasks.free_reserves", every="WALLETS_FREE_RESERVES_SECONDS"),
    "notifications of gateways": Sweep(task="billing.tasks.drain_inbox", every="INBOX_SWEEP_SECONDS"),
    "old notifications of gateways": Sweep(task="billing.tasks.purge_inbox", every=crontab(minute="41")),
    "notifications that never came": Sweep(task="billing.tasks.collect_undelivered", every="UNDELIVERED_SWEEP_SECONDS"),
    "mirror of Stripe": Sweep(
        task="billing.tasks.mirror_events", every="MIRROR_SWEEP_SECONDS", options={"queue": "upkeep"}
    ),
    "attempts to ask about": Sweep(task="billing.tasks.ask_gateways", every="PAYMENT_ASK_SWEEP_SECONDS"),
    "abandoned checkouts": Sweep(task="billing.tasks.expire_checkouts", every="PAYMENT_EXPIRE_SWEEP_SECONDS"),
    "automatic top-ups": Sweep(task="billing.tasks.top_up", every="TOP_UP_SWEEP_SECONDS"),
    "cards being saved or removed": Sweep(task="billing.tasks.look_after_methods", every="METHOD_SWEEP_SECONDS"),
    "refunds to send": Sweep(task="billing.tasks.work_through_refunds", every="REFUND_SWEEP_SECONDS"),
    "withdrawals to pay out": Sweep(task="billing.tasks.work_through_payouts", every="PAYOUT_SWEEP_SECONDS"),
    "subscriptions to renew": Sweep(task="billing.tasks.renew_due", every="RENEWAL_SWEEP_SECONDS"),
    "subscriptions to end": Sweep(task="billing.tasks.expire_due", every="RENEWAL_SWEEP_SECONDS"),
    "invoices to issue and to render": Sweep(task="billing.tasks.issue_invoices", every="INVOICE_SWEEP_SECONDS"),
    "months of what is taxed at use": Sweep(
        task="billing.tasks.invoice_used_months", every="INVOICE_USAGE_SWEEP_SECONDS", options={"queue": "upkeep"}
    ),
    "VAT numbers to ask VIES about": Sweep(
        task="billing.tasks.check_vat_numbers", every="VIES_SWEEP_SECONDS", options={"queue": "upkeep"}
    ),
    "events that nobody has looked at": Sweep(task="events.tasks.dispatch", every="EVENTS_DISPATCH_SECONDS"),
    "deliveries to other servers": Sweep(task="events.tasks.send_deliveries", every="WEBHOOKS_SEND_SECONDS"),
    "e-mails to people": Sweep(task="events.tasks.send_messages", every="MAIL_SEND_SECONDS"),
    "old deliveries": Sweep(
        task="events.tasks.purge_deliveries", every=crontab(minute="37"), options={"queue": "upkeep"}
    ),
    "sums of house accounts": Sweep(task="config.tasks.roll_up_house_accounts", every="LEDGER_ROLL_UP_SECONDS"),
}


def route(name: str, *_: Any, **__: Any) -> dict[str, str]:
    """Queues follow apps: a task of an app that is not named here is something a customer waits for."""
    return {"queue": "upkeep" if name.partition(".")[0] in UPKEEP_APPS else "default"}


app = Celery("tirelire", task_cls="rest.publishing:Task")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_queues=[Queue(name) for name in QUEUES],
    task_default_queue="default",
    task_create_missing_queues=False,  # a misspelt queue is an error, not a place where tasks wait for ever
    task_routes=(route,),
)
app.autodiscover_tasks()


@app.on_after_configure.connect
def set_schedule(sender: Celery, **_: Any) -> None:
    """Fill the beat's schedule from the table, once the settings that it names can be read."""
    from django.conf import settings

    def entry(sweep: Sweep) -> dict[str, Any]:
        options, schedule = dict(sweep.options), sweep.every
        if isinstance(schedule, str):
            schedule = getattr(settings, schedule)
            options["expires"] = schedule  # beats that nobody answered do not pile up
        return {"task": sweep.task, "schedule": schedule, "args": sweep.arguments, "options": options}

    sender.conf.beat_schedule = {name: entry(sweep) for name, sweep in SWEEPS.items()}


@after_task_publish.connect(sender="config.tasks.heartbeat")
def note_the_beat(**_: Any) -> None:
    """Only the beat sends heartbeats, so each that is sent proves that it lives."""
    from config import broker

    broker.note_heartbeat("beat")


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Django has set up logging already; with this receiver Celery leaves it alone."""
