"""drt-core sending profiles to Klaviyo by its own destination, without its limiter. Run by an interpreter of drt's own.

    with_drt.py URL ROWS     prints how many seconds the sending took

Its source, state and start are left out: only what it does to get rows to the vendor is measured.
"""

import importlib
import json
import sys
import time
from typing import Any

klaviyo: Any = importlib.import_module("drt.destinations.klaviyo")  # installed for this script alone, so nobody else can know its types
models: Any = importlib.import_module("drt.config.models")


def main() -> None:
    """Send so many rows to the stand-in."""
    url, count = sys.argv[1], int(sys.argv[2])
    klaviyo._BASE = f"{url}/api"
    tiers = ("gold", "silver", "bronze")
    rows = [{"email": f"user.{n}@shop.example", "first_name": "Ann", "loyalty_tier": tiers[n % 3]} for n in range(count)]
    config = models.KlaviyoDestinationConfig(type="klaviyo", api_key="a-made-up-key")
    options = models.SyncOptions(rate_limit={"requests_per_second": 1_000_000})
    started_at = time.perf_counter()
    result = klaviyo.KlaviyoDestination().load(rows, config, options)
    seconds = time.perf_counter() - started_at
    assert result.success == count, result
    sys.stdout.write(f"{json.dumps(seconds)}\n")


if __name__ == "__main__":
    main()
