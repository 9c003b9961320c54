"""What happened, written in the transaction in which it happened."""

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from events.types import EventType


class Event(models.Model):
    """A fact about a user. Written once, by `outbox.record` or by an SQL function of the app in which it happened."""

    # UUIDv7 of the database, so that events of one customer, which its lock puts in a row, rise in that order.
    id = models.UUIDField(
        primary_key=True, db_default=models.Func(function="uuidv7", output_field=models.UUIDField()), editable=False
    )
    type = models.CharField(_("type"), max_length=40, choices=EventType)
    version = models.SmallIntegerField(_("version"), default=1, db_default=1)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False, verbose_name=_("user")
    )
    data = models.JSONField(_("data"), default=dict, db_default={}, encoder=DjangoJSONEncoder)
    # Its place in the order of commits, given after the commit by events/sql/place.sql; until then it has none. Ids
    # rise in the order of writing: one that was written early and committed late would be missed by who goes by them.
    position = models.BigIntegerField(_("position"), null=True, editable=False)
    created_at: models.GeneratedField = models.GeneratedField(
        verbose_name=_("created at"),
        expression=models.Func(F("id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        default_permissions = ("view",)
        constraints = [models.CheckConstraint(name="event_type_known", condition=Q(type__in=EventType.values))]
        indexes = [
            models.Index(name="event_by_user", fields=["user", "id"]),
            models.Index(name="event_unplaced", fields=["id"], condition=Q(position=None)),
            models.Index(name="event_by_position", fields=["user", "position"], condition=Q(position__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class StreamHead(models.Model):
    """One row: the position that was given last. Its lock lets one process at a time give positions."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    position = models.BigIntegerField(_("position"))

    class Meta:
        verbose_name = _("head of the stream")
        verbose_name_plural = _("head of the stream")
        default_permissions = ()
        constraints = [models.CheckConstraint(name="stream_head_is_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return str(self.position)


class StreamTicket(models.Model):
    """What a browser opens a stream with, once and soon; only its digest is kept."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    expires_at = models.DateTimeField(_("expires at"), db_index=True)
    stream_ends_at = models.DateTimeField(_("stream ends at"), null=True)

    class Meta:
        verbose_name = _("stream ticket")
        verbose_name_plural = _("stream tickets")
        default_permissions = ()

    def __str__(self) -> str:
        return self.digest[:8]
