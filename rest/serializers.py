"""Strict readers of bodies and of query parameters: what is not known is refused, never ignored."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import SkipField, empty
from rest_framework.request import Request
from rest_framework.settings import api_settings

from rest import parsers


class StrictSerializer(serializers.Serializer[Any]):
    """The base of every request's serializer; answers are described with DRF's own. A field is called what it is sent
    as: `source` is not for requests."""

    comes_as_text = False
    default_error_messages = {"invalid": "Send an object, not {what}."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            self._refuse_what_is_no_object(data)
        # As DRF's own, which asks every field that was not sent as well; most are not sent, and have nothing to say.
        mistakes: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for name, field, may_be_left_out, judge in self._expected:
            if may_be_left_out and name not in data:
                continue
            try:
                value = field.run_validation(data.get(name, empty))
                values[name] = judge(value) if judge else value
            except serializers.ValidationError as error:
                mistakes[name] = error.detail
            except SkipField:
                pass
        for name in data:
            if name not in self._known:
                mistakes[name] = [self._unknown(sorted(self._known))]
        if mistakes:
            raise serializers.ValidationError(mistakes)
        return values

    def run_validators(self, value: Any) -> None:
        if self.validators:  # there are none on most; DRF would collect the defaults of read-only fields for them
            super().run_validators(value)

    @functools.cached_property
    def _expected(self) -> list[tuple[str, serializers.Field[Any, Any, Any, Any], bool, Callable[[Any], Any] | None]]:
        return [
            (name, field, not field.required and field.default is empty, getattr(self, f"validate_{name}", None))
            for name, field in self.fields.items()
            if not field.read_only
        ]

    @functools.cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(name for name, *_ in self._expected)

    def _unknown(self, known: list[str]) -> ErrorDetail:
        what = "query parameter" if self.comes_as_text else "field"
        return ErrorDetail(f"Unknown {what}. Known: {', '.join(known) or 'none'}.", code="unknown")

    def _refuse_what_is_no_object(self, data: Any) -> None:
        message = self.error_messages["invalid"].format(what=parsers.json_type(data))
        raise serializers.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [message]}, code="invalid")


class QuerySerializer(StrictSerializer):
    """Reads query parameters, where numbers and booleans come as text."""

    comes_as_text = True


class NoBody(StrictSerializer):
    """For acts that take nothing: an empty body or {}."""


@functools.cache
def _reusable(serializer_class: type[StrictSerializer], partial: bool) -> StrictSerializer:
    # Making a serializer copies each of its fields, which costs more than running it. One instance is shared by all
    # threads, because run_validation() keeps nothing on it.
    return serializer_class(partial=partial)


def read(
    request: Request, serializer_class: type[StrictSerializer], *, partial: bool = False, required: bool = True
) -> dict[str, Any]:
    """The request's body, checked. Where it is not `required`, no body means an empty object."""
    data = request.data if required or parsers.has_body(request._request) else {}
    return _validated(_reusable(serializer_class, partial), data)


def query(request: Request, serializer_class: type[QuerySerializer] = QuerySerializer) -> dict[str, Any]:
    """The query parameters, checked; unknown ones and doubles are refused."""
    parameters: QueryDict = request.query_params
    doubles = [name for name, values in parameters.lists() if len(values) > 1]
    if doubles:
        raise serializers.ValidationError({name: ["Send this parameter once."] for name in doubles}, code="repeated")
    return _validated(_reusable(serializer_class, False), parameters.dict())


def _validated(serializer: StrictSerializer, data: Any) -> dict[str, Any]:
    values: dict[str, Any] = serializer.run_validation(data)
    return values
