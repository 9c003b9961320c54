"""A trial at a gateway that renews ends soon: its customer hears what is charged then, and when."""

from uuid import UUID

from django.db import transaction

from billing import dunning, gateway_subscriptions, renewals, subscription_states
from billing.models import Subscription
from billing.models.subscriptions import SubscriptionStatus


def hear(subscription: Subscription) -> None:
    """Without a card there it would not go on: then the letter leads to where one is given."""
    if not _is_to_be_told(subscription):
        return
    card = gateway_subscriptions.method_of(subscription)
    _tell(subscription.pk, "" if card else dunning.mend_url(subscription))


def _is_to_be_told(subscription: Subscription) -> bool:
    is_ending = subscription.cancel_at_period_end
    return subscription.status == SubscriptionStatus.TRIALING and not is_ending and not subscription.reminders


@transaction.atomic
def _tell(subscription_id: UUID, payment_url: str) -> None:
    """Once, however often the gateway says so."""
    subscription = subscription_states.lock(subscription_id)
    if not _is_to_be_told(subscription):
        return
    Subscription.objects.filter(pk=subscription_id).update(reminders=1)
    renewals.remind(subscription, payment_url)
