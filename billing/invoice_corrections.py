"""What a credit note takes back of an invoice, line by line: the parts sum to what went back, and never to more than
was invoiced."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from billing.invoice_writing import NewLine
from billing.models import Invoice, InvoiceLine, Refund
from billing.models.invoices import TaxCategory
from billing.taxing import Treatment
from ledger.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One invoice, and what a refund takes back of it."""

    invoice: Invoice
    lines: list[NewLine]


def whole(invoice: Invoice) -> list[NewLine]:
    """Every line as it stands, for the paper that takes all of another one back."""
    return [
        replace(
            _line(line, _money(line, line.net_minor), _money(line, line.tax_minor)),
            quantity=line.quantity,
            discount_minor=line.discount_minor,
        )
        for line in invoice.lines.all()
    ]


def of_refund(invoice: Invoice, net: Money, tax: Money) -> Correction:
    """The lines share what goes back by what is left of each. Net and tax are shared apart, so that both sums are
    exact and no line gives back more than it bore: beyond that, money was lost that no paper asked for."""
    lines = list(invoice.lines.prefetch_related("corrections__corrections", "corrections__invoice__refund"))
    nets = _shared(net, [_left(line, "net_minor") for line in lines])
    taxes = _shared(tax, [_left(line, "tax_minor") for line in lines])
    parts = [_line(*each) for each in zip(lines, nets, taxes, strict=True) if each[1].minor or each[2].minor]
    return Correction(invoice=invoice, lines=parts)


def of_uses(refund: Refund) -> Iterator[Correction]:
    """Of each month that was invoiced already, the line of this payment."""
    for back in refund.uses_given_back.select_related("use__invoice").order_by("use__month"):
        invoice = back.use.invoice
        # Lines and uses were written side by side, so that both have the same order.
        place = list(invoice.taxed_uses.order_by("pk").values_list("pk", flat=True)).index(back.use_id)
        line = list(invoice.lines.all())[place]
        tax = _money(line, back.tax_minor)
        part = _line(line, _money(line, back.gross_minor) - tax, tax)
        yield Correction(invoice=invoice, lines=[part])


def _left(line: InvoiceLine, part: str) -> int:
    """What no credit note has taken back, or what one took whose refund came back."""
    taken: list[int] = [getattr(each, part) for each in line.corrections.all() if _stands(each)]
    whole: int = getattr(line, part)
    return max(0, whole - sum(taken))


def _stands(correction: InvoiceLine) -> bool:
    refund = correction.invoice.refund
    return not correction.corrections.all() and (refund is None or correction.invoice.times_back == refund.times_back)


def _shared(amount: Money, left: Sequence[int]) -> list[Money]:
    shared = Money(min(amount.minor, sum(left)), amount.unit)
    return shared.split(left) if shared.minor else [shared] * len(left)


def _line(line: InvoiceLine, net: Money, tax: Money) -> NewLine:
    treatment = Treatment(category=TaxCategory(line.tax_category), basis_points=line.tax_basis_points)
    return NewLine(description=line.description, net=net, tax=tax, treatment=treatment, corrects=line)


def _money(line: InvoiceLine, minor: int) -> Money:
    return Money(minor, line.invoice.currency)
