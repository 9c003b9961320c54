"""The wallets over HTTP."""
