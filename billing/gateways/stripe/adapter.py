"""Stripe as a whole: what it can do, and whether it can be asked."""

from collections.abc import Sequence
from datetime import timedelta

import stripe
from django.conf import settings

from billing.gateways import amounts
from billing.gateways.base import Capabilities, DestinationKind, Flow, Trust
from billing.gateways.http import Limits
from billing.gateways.stripe import currencies
from billing.gateways.stripe.catalogue import Catalogue
from billing.gateways.stripe.client import Configuration
from billing.gateways.stripe.disputes import Disputing
from billing.gateways.stripe.letters import Letters
from billing.gateways.stripe.movements import Moving
from billing.gateways.stripe.payouts import PayingOut
from billing.gateways.stripe.refunds import Refunding
from billing.gateways.stripe.subscriptions import Subscribing


class Stripe(Refunding, PayingOut, Subscribing, Catalogue, Disputing, Moving, Letters):
    def __init__(self, configuration: Configuration, *, client: stripe.HTTPClient | None = None) -> None:
        super().__init__(configuration, client=client)
        charged = currencies.rules(configuration.minimums_minor)
        self.capabilities = Capabilities(
            flows=frozenset({Flow.REDIRECT, Flow.CLIENT_SECRET}),
            currencies=charged,
            refund=True,
            partial_refund=True,
            cancel=True,
            saved_methods=True,
            takes_cards=True,
            recurring=True,
            tells_fees=True,
            reckons_tax=configuration.automatic_tax,
            payout=frozenset({DestinationKind.ACCOUNT}),
            payout_currencies=amounts.any_size(charged),
            webhook_trust=Trust.SIGNED,
            pending_lifetime=timedelta(hours=24),
        )

    def missing_settings(self) -> Sequence[str]:
        wanted = {
            "STRIPE_SECRET_KEY": self.configuration.secret_key,
            "STRIPE_WEBHOOK_SECRETS": self.configuration.webhook_secrets,
        }
        return [name for name, value in wanted.items() if not value]

    def check_health(self) -> None:
        self.ask(self.api.balance.retrieve)


def from_settings(limits: Limits) -> Stripe:
    return Stripe(
        Configuration(
            secret_key=settings.STRIPE_SECRET_KEY,
            publishable_key=settings.STRIPE_PUBLISHABLE_KEY,
            webhook_secrets=tuple(settings.STRIPE_WEBHOOK_SECRETS),
            webhook_tolerance_seconds=settings.STRIPE_WEBHOOK_TOLERANCE_SECONDS,
            live_mode=settings.STRIPE_LIVE_MODE,
            api_base=settings.STRIPE_API_BASE,
            files_base=settings.STRIPE_FILES_BASE,
            api_version=settings.STRIPE_API_VERSION,
            automatic_tax=settings.STRIPE_TAX,
            tax_code=settings.STRIPE_TAX_CODE,
            minimums_minor=settings.STRIPE_MINIMUMS_MINOR,
            lookup_window_seconds=settings.STRIPE_LOOKUP_WINDOW_SECONDS,
            limits=limits,
        )
    )
