"""Benchmarks: what Tirelire's acts cost beside their rivals, in one run; see README.md. No product code is here."""
