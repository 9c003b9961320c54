"""What operators read when an act is refused: in their language, with the facts in it."""

from typing import Any

import pytest
from django.utils import translation

from billing import errors
from billing.admin.refusal_words import WORDS
from billing.gateways import errors as gateway_errors
from credits import errors as credit_errors
from ledger import errors as ledger_errors
from ledger.models import Account
from ledger.money import Money
from rest.acts import words_of
from wallets import errors as wallet_errors

NUMBER: Any = "0190c6a4-5a3e-4c1b-9f3e-2b1a0c4d5e6f"
FIVE, NINE = Money(500, "EUR"), Money(900, "EUR")
TOLD = [
    (errors.PaymentOver(NUMBER, "expired"), "Le paiement est terminé : abandonné."),
    (errors.NotRefundable("pending"), "Il n’y a rien à rembourser ; le paiement : en cours de paiement."),
    (errors.NotRefundable("lost in a dispute"), "Il n’y a rien à rembourser ; le paiement : perdu dans un litige."),
    (errors.RefundTooLarge(999, "EUR"), "Au plus 9,99 € peuvent encore être remboursés."),
    (
        errors.RefundBetweenSteps(150, "HUF", 100, 300_000),
        "La passerelle ne renvoie pas ce montant ; les plus proches : 1,00 HUF, 2,00 HUF.",
    ),
    (errors.RefundBetweenSteps(50, "HUF", 100, 50), "La passerelle ne renvoie pas si peu."),
    (errors.CreditsSpent(75, 0), "75 des crédits sont dépensés ou expirés ; cette règle ne le permet pas."),
    (errors.RefundOver(NUMBER, "succeeded"), "Impossible dans l’état actuel du remboursement : arrivé."),
    (
        errors.RefundBeyondYours(Money(5_000, "EUR")),
        "Les remboursements de plus de 50,00 € sont demandés par un collègue qui peut confirmer les remboursements.",
    ),
    (
        credit_errors.IssueTooLarge(100),
        "Plus de 100 crédits par jour sont donnés par un collègue qui peut ajuster les crédits.",
    ),
    (errors.EvidenceFileRefused(5_000_000), "La banque lit un PDF, un PNG ou un JPEG de 5 Mo au plus."),
    (
        errors.DraftInvalid("The day by which it is to be paid is over."),
        "Le jour jusqu’auquel elle doit être payée est passé.",
    ),
    (errors.PayoutNotOpen("paid"), "Il n’y a rien à établir ; le retrait : payé."),
    (errors.SubscriptionLive(NUMBER, "elite", "active"), "Il y a déjà un abonnement à elite ; changez-le plutôt."),
    (
        errors.SubscriptionState("paused", "it has no next period"),
        "L’abonnement : en pause ; il n’a pas de période suivante.",
    ),
    (
        errors.MethodPaysPlan("elite"),
        "La formule elite est payée avec cette carte : donnez-lui d’abord une autre carte.",
    ),
    (errors.CapTooLow(999, "EUR"), "Le pack coûte 9,99 €, et le plafond mensuel est inférieur."),
    (errors.ThresholdTooHigh(275), "Le pack apporte 275 crédits : le seuil ne doit pas dépasser ce nombre."),
    (errors.TaxRateUnknown("HU"), "Le taux de taxe de HU n’est pas connu. Ajoutez-le sous Taux de taxe."),
    (gateway_errors.Declined("No.", gateway="stripe"), "stripe refuse, et rien n’a bougé : No."),
    (gateway_errors.Unavailable("?", gateway="stripe"), "stripe ne répond pas en ce moment. Rien n’a été changé."),
    (
        gateway_errors.Uncertain("?", gateway="stripe"),
        "Personne ne sait encore si stripe l’a fait. On lui demande jusqu’à ce qu’elle le dise.",
    ),
    (
        credit_errors.InsufficientCredits(needed=5, available=3, missing=2, unit="CREDIT"),
        "Il faut 5 CREDIT et 3 sont disponibles : il en manque 2.",
    ),
    (credit_errors.GrantClosed("revoked"), "L’attribution ne peut plus être changée : révoquée."),
    (credit_errors.HoldResolved(state="expired"), "La réservation est terminée, état : expiré."),
    (credit_errors.HoldExceeded(held=3), "Seuls 3 sont réservés."),
    (credit_errors.SpendExceeded(left=3), "Il ne reste que 3 à rendre de cette dépense."),
    (
        credit_errors.InvalidUse("expires_at", "A grant can only be extended."),
        "Une attribution ne peut être que prolongée.",
    ),
    (
        credit_errors.AmountNotPayable(
            amount="9.99 EUR", gateways=["stripe", "paypal"], reasons=[], nearest=["9.95 EUR", "10.00 EUR"]
        ),
        "9,99 € ne peut être payé par stripe, paypal. Montants possibles les plus proches : 9,95 €, 10,00 €.",
    ),
    (
        wallet_errors.InsufficientFunds(needed=NINE, available=FIVE),
        "9,00 € dépassent les 5,00 € disponibles.",
    ),
    (wallet_errors.SellerCannotCover(missing=FIVE), "Il y manque 5,00 € au vendeur."),
    (wallet_errors.AboveSale(left=FIVE), "Il ne reste que 5,00 € de cette vente."),
    (wallet_errors.WithdrawalState("paid"), "Le retrait a avancé : payé."),
    (wallet_errors.AdjustmentState("booked"), "L’ajustement est déjà décidé : comptabilisé."),
    (wallet_errors.TakeBackState("settled"), "La reprise est terminée, état : réglé."),
    (
        wallet_errors.InvalidValue("days", "A reserve is a part of each sale for some days: say both, or neither."),
        "Une réserve est une part de chaque vente pour quelques jours : dites les deux, ou aucun.",
    ),
    (
        ledger_errors.InsufficientFunds(Account(name="house:cash"), FIVE),
        "Il manque 5,00 € à house:cash.",
    ),
    (
        ledger_errors.TooManyDecimals("9.999", decimals=3, unit="EUR", digits=2),
        "9.999 a plus de décimales que EUR, qui en a 2.",
    ),
]
# They never come to a form of operators: what callers of the API and buyers are refused.
NOT_OF_OPERATORS = {
    "AccountingMistake", "AmountNotYours", "CouponCurrency", "CouponExpired", "CouponFirstPurchaseOnly",
    "CouponNeedsPurchase", "CouponNotForThis", "CouponUsedByYou", "CouponUsedUp", "DiscountNotPayable",
    "MethodRefused", "NoGatewayKeepsMethods", "PhoneInvalid", "ReturnUrlRefused", "SubscriptionAmbiguous",
    "UnknownCoupon", "UnknownGateways", "UnknownMethod",
    "RefundEndedMeanwhile", "TaxNotAdded",
}  # fmt: skip
WITH_SENTENCES_OF_THEIR_OWN = {"BillingError", "CouponInvalid", "StatementUnreadable"}


@pytest.mark.parametrize(("refusal", "french"), TOLD, ids=lambda given: type(given).__name__)
def test_refusal_is_told_in_french_with_its_facts(refusal: Exception, french: str) -> None:
    with translation.override("fr"):
        assert words_of(refusal, WORDS).replace("\xa0", " ").replace("\u202f", " ") == french


def test_every_refusal_with_facts_has_an_example_above() -> None:
    with_facts = {kind for kind, said in WORDS.items() if callable(said) or "%(" in str(said)}
    assert with_facts == {type(refusal) for refusal, _ in TOLD}


def test_every_refusal_of_billing_has_words() -> None:
    known = {kind.__name__ for kind in WORDS}
    assert {name for name in errors.__all__ if name not in known} - NOT_OF_OPERATORS == WITH_SENTENCES_OF_THEIR_OWN
