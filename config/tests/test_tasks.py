import pytest

from config import tasks
from ledger import accounts, transfers
from ledger.models import RollUp
from ledger.money import Money


@pytest.mark.django_db(transaction=True)
def test_sums_of_the_house_are_rolled_up() -> None:
    house = accounts.open(name="revenue:packs:EUR", unit="EUR", guarded=False)
    wallet = accounts.open(name="wallet:ann:EUR", unit="EUR", guarded=True)
    move = transfers.Move(source=house, target=wallet, amount=Money(500, "EUR"))
    transfers.post(key="payment:1", kind="payment", moves=[move])
    before = RollUp.objects.values_list("mark", flat=True).first() or 0
    tasks.roll_up_house_accounts()
    # How far it came depends on who else writes in this server; what the balance is does not.
    assert RollUp.objects.get().mark >= before
    assert RollUp.objects.get().mark > 0
    assert accounts.balance_of(house) == Money(-500, "EUR")
