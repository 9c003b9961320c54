"""CinetPay's notifications: signed forms about payments, unsigned ones about transfers, tokens in API v1."""

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import parse_qsl

from billing.gateways import letters
from billing.gateways.base import Hint, Letter, Trust
from billing.gateways.cinetpay.configuration import Configuration
from billing.gateways.errors import InvalidLetter
from billing.gateways.references import fingerprint, from_short
from billing.gateways.subjects import Subject

SIGNED_FIELDS = (
    *("cpm_site_id", "cpm_trans_id", "cpm_trans_date", "cpm_amount", "cpm_currency", "signature", "payment_method"),
    *("cel_phone_num", "cpm_phone_prefixe", "cpm_language", "cpm_version", "cpm_payment_config", "cpm_page_action"),
    *("cpm_custom", "cpm_designation", "cpm_error_message"),
)
MOST_FIELDS = 50


def signed_or_about_transfer(letter: Letter, configuration: Configuration) -> Sequence[Hint]:
    form = _form(letter)
    if "cpm_trans_id" in form:
        return [_about_payment(letter, form, configuration)]
    if "client_transaction_id" in form:
        return [_about_transfer(letter, form)]
    raise InvalidLetter("The letter names no transaction.")


def token(form: dict[str, str], key: str) -> str:
    """HMAC over sixteen values with nothing between them: it proves who wrote, not where a value ends. So nothing but
    the transaction is taken from the letter, and the status call says the rest."""
    joined = "".join(form.get(name, "") for name in SIGNED_FIELDS)
    return hmac.new(key.encode(), joined.encode(), hashlib.sha256).hexdigest()


def _about_payment(letter: Letter, form: dict[str, str], configuration: Configuration) -> Hint:
    signature = letter.headers.get("x-token", "").lower()
    expected = token(form, configuration.secret_key)
    if not configuration.secret_key or not hmac.compare_digest(signature.encode(), expected.encode()):
        raise InvalidLetter("The x-token is wrong or missing.")
    if form.get("cpm_site_id") != configuration.site_id:
        raise InvalidLetter("The letter is about another site.")
    return Hint(
        event_id=letters.made_up_id(letter),
        kind=form.get("cpm_error_message", "") or "payment",
        subject=Subject.PAYMENT,
        trust=Trust.SIGNED,
        reference=from_short(form["cpm_trans_id"]),
        ids={"transaction": form["cpm_trans_id"]},
    )


def _about_transfer(letter: Letter, form: dict[str, str]) -> Hint:
    return Hint(
        event_id=letters.made_up_id(letter),
        kind=form.get("treatment_status", "") or "transfer",
        subject=Subject.PAYOUT,
        trust=Trust.UNSIGNED,
        reference=from_short(form["client_transaction_id"]),
        ids={"transfer": form["transaction_id"]} if form.get("transaction_id") else {},
    )


def with_token(letter: Letter) -> Sequence[Hint]:
    """API v1 signs nothing and repeats the token that it gave when the payment was made: `letters.fits` compares."""
    fields = letters.fields(letter)
    transaction, secret = letters.text(fields.get("merchant_transaction_id")), letters.text(fields.get("notify_token"))
    if not transaction or not secret:
        raise InvalidLetter("The letter has no transaction or no token.")
    return [
        Hint(
            event_id=letters.made_up_id(letter),
            kind="notification",
            subject=Subject.PAYMENT if "user" in fields else Subject.PAYOUT,
            trust=Trust.SHARED_SECRET,
            reference=from_short(transaction),
            ids={"notify_token_sha256": fingerprint(secret)},
        )
    ]


def _form(letter: Letter) -> dict[str, str]:
    try:
        text = letter.body.decode()
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"))
    except ValueError as broken:
        raise InvalidLetter("The body is no form.") from broken
