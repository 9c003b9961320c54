"""The app of what every endpoint shares."""

from django.apps import AppConfig


class RestConfig(AppConfig):
    name = "rest"
    verbose_name = "API"

    def ready(self) -> None:
        from django import forms

        from rest import (
            checks,  # noqa: F401 - importing it registers the checks
            dates,
        )

        # Dozens of forms, most of which Django makes of models, ask for days: none may name one at the calendar's end.
        forms.DateField.default_validators = forms.DateTimeField.default_validators = [dates.check_year]
