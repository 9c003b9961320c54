"""The signed link to a seller's wallet page: the page is for people who have no account to sign in with here. It ends
soon, since whoever has it can ask for money."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.utils import timezone

SALT = "wallets.page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    url: str
    expires_at: datetime


def link(user: User) -> Link:
    token = signing.dumps(user.pk, salt=SALT)
    lasts = timedelta(minutes=settings.WALLETS_PAGE_MINUTES)
    return Link(url=f"{settings.BASE_URL}/wallet/{token}", expires_at=timezone.now() + lasts)


def user_of(token: str) -> User | None:
    try:
        known = signing.loads(token, salt=SALT, max_age=timedelta(minutes=settings.WALLETS_PAGE_MINUTES))
    except signing.BadSignature:
        return None
    return User.objects.filter(pk=known, is_active=True).first()
