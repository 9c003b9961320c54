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
        indexes = [models.Index(name="event_by_user", fields=["user", "id"])]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"
