"""Fields that take a value as JSON says it, and convert nothing: true is not 1, "12" is not 12, 12.0 is not 12."""

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from typing import Any

from django.core.validators import EmailValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from rest import codes, customers, dates, texts
from rest.parsers import json_type

LARGEST_AMOUNT = 10**15  # minor units; ten billion of anything with five decimals
WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

TOO_LATE = f"Send one of the years until {dates.LATEST_YEAR}."


def _comes_as_text(field: serializers.Field[Any, Any, Any, Any]) -> bool:
    """Query parameters are always text; see rest.serializers.QuerySerializer."""
    return bool(getattr(field.parent, "comes_as_text", False))


class IntegerField(serializers.IntegerField):
    default_error_messages = {"invalid": "Send a whole number, not {what}."}

    def to_internal_value(self, data: Any) -> int:
        if _comes_as_text(self) and isinstance(data, str):
            if not WHOLE_NUMBER.fullmatch(data):
                self.fail("invalid", what="this")
            return int(data)
        if type(data) is not int:
            self.fail("invalid", what="a fraction" if isinstance(data, float) else json_type(data))
        return data


class AmountField(IntegerField):
    """Money or credits in minor units; always positive, the direction is the endpoint's."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": 1, "max_value": LARGEST_AMOUNT, **kwargs})


class BooleanField(serializers.BooleanField):
    default_error_messages = {"invalid": "Send true or false, not {what}."}

    def to_internal_value(self, data: Any) -> bool:
        if _comes_as_text(self):
            if data not in ("true", "false"):
                self.fail("invalid", what="this")
            return bool(data == "true")
        if type(data) is not bool:
            self.fail("invalid", what=json_type(data))
        return data


class StringField(serializers.CharField):
    """One line of text as it was sent; `multiline` allows line breaks, `bare` refuses blanks around it."""

    default_error_messages = {
        "invalid": "Send a string, not {what}.",
        "control": "Control characters are not allowed.",
        "blanks": "Leave out the blanks at the start and the end.",
    }

    def __init__(self, *, multiline: bool = False, bare: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 255, "trim_whitespace": False, **kwargs})
        self.multiline = multiline
        self.bare = bare

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid", what=json_type(data))
        if texts.has_controls(data, breaks=self.multiline):
            self.fail("control")
        if self.bare and data != data.strip():
            self.fail("blanks")
        return data


class EmailField(StringField, serializers.EmailField):
    default_error_messages = {"address": "Send an e-mail address with one @, such as ada@example.com."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 254, "bare": True, **kwargs})
        # DRF gives its validator the words for what is no string at all.
        self.validators = [each for each in self.validators if not isinstance(each, EmailValidator)]
        self.validators.append(EmailValidator("Send an e-mail address such as ada@example.com."))

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if not texts.names_one_address(value):
            self.fail("address")
        return value


class UserIdField(StringField):
    """A user id of the outside, as a token's `sub` may be."""

    default_error_messages = {"user_id": "A user id is 1 to 150 visible characters, without surrounding space."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": customers.LONGEST_ID, "bare": True, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if not customers.is_user_id(value):
            self.fail("user_id")
        return value


class UUIDField(serializers.UUIDField):
    default_error_messages = {"invalid": "Send a UUID such as 0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f."}

    def to_internal_value(self, data: Any) -> uuid.UUID:
        try:
            value = uuid.UUID(data) if isinstance(data, str) else None
        except ValueError:
            value = None
        # The class also reads braces, urn: and no hyphens; one value has one spelling here.
        if value is None or str(value) != str(data).lower():
            self.fail("invalid")
        return value


class DateTimeField(serializers.DateTimeField):
    default_error_messages = {
        "invalid": "Send a time with its offset as RFC 3339 says it, such as 2026-11-20T20:30:00Z.",
        "too_late": TOO_LATE,
    }

    def to_internal_value(self, value: Any) -> dt.datetime:
        if not isinstance(value, str) or not RFC_3339.fullmatch(value):
            self.fail("invalid", format="")
        try:
            instant = dt.datetime.fromisoformat(value).astimezone(dt.UTC)
        except (ValueError, OverflowError):  # the thirtieth of February, or an offset that leaves the calendar
            self.fail("invalid", format="")
        if instant.year > dates.LATEST_YEAR:
            self.fail("too_late")
        return instant


class DateField(serializers.DateField):
    default_error_messages = {
        "invalid": "Send a day as ISO 8601 says it, such as 2026-11-20.",
        "too_late": TOO_LATE,
    }

    def to_internal_value(self, value: Any) -> dt.date:
        if not isinstance(value, str) or not ISO_DAY.fullmatch(value):
            self.fail("invalid", format="")
        try:
            day = dt.date.fromisoformat(value)
        except ValueError:  # the thirtieth of February
            self.fail("invalid", format="")
        if day.year > dates.LATEST_YEAR:
            self.fail("too_late")
        return day


class EnumField(serializers.ChoiceField):
    """One of a few words, exactly as written."""

    default_error_messages = {"invalid_choice": "Choose one of: {known}."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", known=", ".join(map(str, self.choices)), input="")
        return data


@extend_schema_field({"type": "string", "pattern": "^[A-Z]{3}$", "example": "EUR", "description": "ISO 4217"})
class CurrencyField(serializers.Field[str, Any, str, Any]):
    default_error_messages = {"invalid": "Send an ISO 4217 code in capitals, such as EUR or XOF."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in codes.currencies():
            self.fail("invalid")
        return data

    def to_representation(self, value: str) -> str:
        return value


@extend_schema_field({"type": "string", "pattern": "^[A-Z]{2}$", "example": "FR", "description": "ISO 3166-1 alpha-2"})
class CountryField(serializers.Field[str, Any, str, Any]):
    default_error_messages = {"invalid": "Send an ISO 3166 code of two capitals, such as FR or CI."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in codes.countries():
            self.fail("invalid")
        return data

    def to_representation(self, value: str) -> str:
        return value


@extend_schema_field({"type": "string", "example": "Europe/Paris", "maxLength": 64, "description": "IANA time zone"})
class TimeZoneField(serializers.Field[str, Any, str, Any]):
    default_error_messages = {"invalid": "Send the name of an IANA time zone, such as Europe/Paris."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in codes.time_zones():
            self.fail("invalid")
        return data

    def to_representation(self, value: str) -> str:
        return value


@extend_schema_field(
    {
        "type": "object",
        "maxProperties": 50,
        "additionalProperties": {
            "oneOf": [{"type": "string", "maxLength": 500}, {"type": "number"}, {"type": "boolean"}],
            "nullable": True,
        },
        "description": "The caller's own notes; up to 50 short values, which we keep and never read.",
    }
)
class MetadataField(serializers.Field[dict[str, Any], Any, dict[str, Any], Any]):
    most_keys = 50
    longest_key = 40
    longest_value = 500
    default_error_messages = {
        "invalid": "Send an object, not {what}.",
        "too_many": "Send no more than {most} keys.",
        "key": "A key has 1 to {longest} characters.",
        "value": "A value is a string of up to {longest} characters, a number, a boolean or null.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            self.fail("invalid", what=json_type(data))
        if len(data) > self.most_keys:
            self.fail("too_many", most=self.most_keys)
        for key, value in data.items():
            if not 1 <= len(key) <= self.longest_key:
                self.fail("key", longest=self.longest_key)
            if isinstance(value, dict | list) or (isinstance(value, str) and len(value) > self.longest_value):
                self._refuse_value(key)
        return dict(data)

    def _refuse_value(self, key: str) -> None:
        message = self.error_messages["value"].format(longest=self.longest_value)
        raise serializers.ValidationError({key: [message]}, code="value")

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value
