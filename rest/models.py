"""What the shell of the API keeps: the tokens of the services that call us."""

import uuid

from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class ServiceToken(models.Model):
    """A machine's key to the API. We keep its SHA-256 only; its permissions are its whole scope."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, help_text=_("Who uses it, for example: shop backend."))
    prefix = models.CharField(_("begins with"), max_length=11, unique=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    permissions = models.ManyToManyField(
        Permission,
        verbose_name=_("permissions"),
        related_name="+",
        blank=True,
        help_text=_("All that this token may do. To act for customers it needs “Can act for a customer”."),
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        verbose_name=_("made by"),
        related_name="+",
        null=True,
        blank=True,
        editable=False,
    )
    created_at = models.DateTimeField(_("made at"), editable=False)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        verbose_name=_("revoked by"),
        related_name="+",
        null=True,
        blank=True,
        editable=False,
    )
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    # Written at most once a minute: it says whether a token is still needed, it is not a log.
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("service token")
        verbose_name_plural = _("service tokens")
        ordering = ["-created_at"]
        default_permissions = ("add", "change", "view")  # a token is revoked, never deleted
        permissions = [
            ("revoke_servicetoken", "Can revoke service tokens"),
            ("act_for_customers", "Can act for a customer"),
        ]
        constraints = [
            models.CheckConstraint(name="service_token_named", condition=~Q(name="")),
            models.CheckConstraint(name="service_token_digest_is_sha256", condition=Q(digest__regex="^[0-9a-f]{64}$")),
            models.CheckConstraint(
                name="service_token_expires_after_birth",
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("created_at")),
            ),
            models.CheckConstraint(
                name="service_token_revoked_after_birth",
                condition=Q(revoked_at__isnull=True) | Q(revoked_at__gte=F("created_at")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class IdempotencyRecord(models.Model):
    """The answer that a caller's Idempotency-Key got, committed together with what the request did."""

    pk = models.CompositePrimaryKey("scope", "key")
    scope = models.CharField(max_length=300)  # who sent the key: two callers may choose the same one
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField(max_length=32)  # SHA-256 of what was asked
    status = models.PositiveSmallIntegerField()
    body = models.BinaryField()
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(name="idempotency_record_succeeded", condition=Q(status__gte=200, status__lt=300)),
            models.CheckConstraint(name="idempotency_record_key_visible", condition=Q(key__regex="^[!-~]{1,255}$")),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.key}"
