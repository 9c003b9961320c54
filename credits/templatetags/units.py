"""What credits are called, in e-mails and on pages."""

from django import template

from credits import unit_names

register = template.Library()


@register.filter
def called(unit: str, amount: int = unit_names.MANY) -> str:
    """`{{ data.unit|called:data.amount }}`: credits, or the word of the catalogue that deals in them."""
    return unit_names.word(unit, amount)
