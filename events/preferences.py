"""What a customer wants to get e-mails about, and the signed link by which they say so without signing in."""

from collections.abc import Collection, Mapping

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db import transaction

from events.models import MailPreference, Topic

UNLESS_SAID = {topic: topic is not Topic.WEEKLY_GRANTS for topic in Topic}
SALT = "events.preferences"
LINK_DAYS = 365

Choices = dict[str, bool]


def of(user: User) -> Choices:
    return of_many({user.pk})[user.pk]


def of_many(users: Collection[int]) -> dict[int, Choices]:
    found: dict[int, Choices] = {user: {str(topic): usual for topic, usual in UNLESS_SAID.items()} for user in users}
    for each in MailPreference.objects.filter(user_id__in=users):
        found[each.user_id][each.topic] = each.is_wanted
    return found


@transaction.atomic
def change(user: User, choices: Mapping[str, bool]) -> Choices:
    for topic, is_wanted in choices.items():
        MailPreference.objects.update_or_create(user=user, topic=topic, defaults={"is_wanted": is_wanted})
    return of(user)


def link(user_id: int) -> str:
    token = signing.dumps(user_id, salt=SALT, compress=False)
    return f"{settings.BASE_URL}/mail/{token}"


def user_of(token: str) -> User | None:
    """Whose link this is; None when it is old or made up."""
    try:
        user_id: int = signing.loads(token, salt=SALT, max_age=LINK_DAYS * 86_400)
    except signing.BadSignature:
        return None
    return User.objects.filter(pk=user_id, is_active=True).first()
