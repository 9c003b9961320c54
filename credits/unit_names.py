"""What the credits of a catalogue are called: tokens, images, or credits where nobody says otherwise.

Where only the unit is known, as in a balance, it has a name of its own if all catalogues that deal in it say the same.
"""

from babel import Locale
from babel.numbers import format_decimal
from django.utils.translation import get_language, ngettext

from credits import catalogue_files, catalogue_titles
from credits.catalogue_files import Catalogue, UnitName

MANY = 2


def counted(amount: int, unit: str, catalogue: str = "") -> str:
    """`1,250 tokens`, in the reader's language."""
    number = format_decimal(amount, locale=get_language() or "en")
    return f"{number} {word(unit, amount, catalogue)}"


def word(unit: str, amount: int = MANY, catalogue: str = "") -> str:
    """The word alone, as it stands behind that number."""
    name = named(unit, catalogue)
    if name is None:
        return ngettext("credit", "credits", amount)
    is_one = Locale.parse(get_language() or "en", sep="-").plural_form(amount) == "one"
    return catalogue_titles.in_our_language(name.one if is_one else name.many)


def named(unit: str, catalogue: str = "") -> UnitName | None:
    if catalogue:
        found = catalogue_titles.file_of(catalogue)
        return found.unit_name if found and found.unit == unit else None
    dealing = [each for code in catalogue_files.names() if (each := catalogue_titles.file_of(code)) and _deals(each)]
    names = {each.unit_name for each in dealing if each.unit == unit}
    return names.pop() if len(names) == 1 else None


def _deals(catalogue: Catalogue) -> bool:
    return bool(catalogue.packs or catalogue.costs or catalogue.grant_rules)
