"""From chunks in the outbox to receipts: claim, pace, retry policy, deliver, finish."""
