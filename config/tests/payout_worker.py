"""A process that pays withdrawals out until it is killed."""

import os
import sys

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from billing import payout_sending

    print("ready", flush=True)  # noqa: T201 - the test waits for it
    while sys.stdin.readline():
        payout_sending.work_through()


if __name__ == "__main__":
    main()
