"""Fields of minor units in the admin's forms, written and read as money in the decimals of their unit."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext
from unfold.widgets import UnfoldAdminTextInputWidget

from ledger import money
from ledger.money import Money
from wallets.admin.shared import parse_amount
from wallets.errors import WalletsError

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]
else:
    ModelForm = forms.ModelForm


class MinorField(forms.CharField):
    """Stands in the place of a model's field; `empty` is what is kept when nothing is written."""

    def __init__(self, *, empty: int | None = None, **changes: Any) -> None:
        self.empty = empty
        widget = UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"})
        super().__init__(**{"required": False, "max_length": 24, "widget": widget, **changes})
        self.label = capfirst(self.label)  # as Django writes the labels of a model's fields


class AmountsForm(ModelForm):
    """A form whose amounts are of one unit: the currency of its thing, unless a subclass knows another."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for name in self._amounts():
            minor, unit = self.initial.get(name), self.unit_before()
            if minor is not None:
                self.initial[name] = money.plain(Money(minor, unit)) if unit else str(minor or "")

    def unit_before(self) -> str:
        return str(self.instance.currency)

    def unit_chosen(self) -> str | None:
        """Nothing where the form refuses what was chosen."""
        return self.cleaned_data.get("currency")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        unit = self.unit_chosen()
        for name, field in self._amounts().items():
            text = cleaned.pop(name, None)
            if text is None or unit is None:
                continue  # the thing keeps what it has, and the form is refused anyway
            try:
                cleaned[name] = _minor(text, unit, field.empty)
            except WalletsError as error:
                self.add_error(name, str(error))
        return cleaned

    def _amounts(self) -> dict[str, MinorField]:
        return {name: field for name, field in self.fields.items() if isinstance(field, MinorField)}


class AmountsAdmin:
    """A page with such a form, or a part of one: who may only look reads the same amounts as money, by the columns in
    `amounts`, named after their fields."""

    amounts: Mapping[str, str] = {}

    def get_fields(self: Any, request: HttpRequest, obj: Any = None) -> list[str]:
        names = super().get_fields(request, obj)  # type: ignore[misc]
        if not self._only_shows(request, obj):
            return list(names)
        return list(dict.fromkeys(self.amounts.get(name, name) for name in names))

    def get_readonly_fields(self: Any, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fixed = tuple(super().get_readonly_fields(request, obj))  # type: ignore[misc]
        return (*fixed, *self.amounts.values()) if self._only_shows(request, obj) else fixed

    def _only_shows(self: Any, request: HttpRequest, obj: Any) -> bool:
        return obj is not None and not self.has_change_permission(request, obj)


def _minor(text: str, unit: str, empty: int | None) -> int | None:
    if not text.strip():
        return empty
    if unit:
        return parse_amount(text, unit).minor
    if text.strip() == "0":
        return 0
    raise WalletsError(gettext("An amount is of one currency: choose it as well."))
