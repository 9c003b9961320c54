"""Sweeps of billing. Each finds its own work, so running one late, twice or at once with itself is harmless."""

from celery import shared_task

from billing import (
    asking,
    inbox,
    invoice_files,
    invoice_mail,
    invoices,
    method_removals,
    method_setups,
    mirror,
    missed,
    payout_sending,
    refund_sending,
    renewals,
    top_up_charges,
    usage_invoices,
    vat_numbers,
    waking,
)
from credits import calendar


@shared_task
def drain_inbox() -> None:
    waking.answered("inbox")
    inbox.drain()


@shared_task
def purge_inbox() -> None:
    inbox.purge()


@shared_task
def ask_gateways() -> None:
    asking.ask_due()


@shared_task
def expire_checkouts() -> None:
    asking.expire_abandoned()


@shared_task
def work_through_refunds() -> None:
    refund_sending.work_through()


@shared_task
def work_through_payouts() -> None:
    payout_sending.work_through()


@shared_task
def mirror_events() -> None:
    mirror.work_through()


@shared_task
def collect_undelivered() -> None:
    missed.collect()


@shared_task
def renew_due() -> None:
    renewals.carry_instructions_on()
    renewals.renew_due()


@shared_task
def grant_paid_for() -> None:
    """The sweep of the credits, at once: somebody has just paid for a plan and waits for its first credits."""
    waking.answered("grants")
    calendar.grant_due()


@shared_task
def expire_due() -> None:
    renewals.expire_due()


@shared_task
def issue_invoices() -> None:
    invoices.issue_missing()
    invoice_files.render_due()
    invoice_mail.send_due()


@shared_task
def invoice_used_months() -> None:
    usage_invoices.issue_due()


@shared_task
def check_vat_numbers() -> None:
    vat_numbers.check_due()


@shared_task
def top_up() -> None:
    top_up_charges.work_through()


@shared_task
def look_after_methods() -> None:
    method_setups.ask_due()
    method_removals.forget_removed()
