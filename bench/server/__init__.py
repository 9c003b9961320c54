"""What granian serves while a benchmark runs: the whole product, and its rivals beside it."""
