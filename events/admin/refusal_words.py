"""What operators read when an act on endpoints and deliveries is refused."""

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events import errors
from rest.acts import Words

WORDS: Words = {
    errors.AddressRefused: lambda refusal: gettext(refusal.reason),
    errors.EndpointDisabled: _("This endpoint is disabled. Enable it first."),
    errors.DeliveryUnderWay: _("This delivery is being sent right now."),
    errors.MessageUnderWay: _("This e-mail is being sent right now."),
    errors.TooManyEndpoints: _("There are %(most)s endpoints already; delete one first."),
}
