"""`python -m rowferry.twins braze --port 8099 --latency 0.05` runs one twin by itself until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from rowferry import twins


def main(arguments: list[str] | None = None) -> None:
    """Start the twin, print its address, and wait for SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m rowferry.twins", description="Run a vendor's stand-in on loopback.")
    parser.add_argument("vendor", choices=twins.vendors())
    parser.add_argument("--port", type=int, default=0, help="a free one unless given")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="how long each answer takes")
    chosen = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())  # an event's lock may be held by the very thread that is interrupted
    # Without a log, so that it can stand for hours of load.
    with twins.find(chosen.vendor)(port=chosen.port, latency_seconds=chosen.latency, keep_log=False) as twin:
        sys.stdout.write(f"{chosen.vendor} twin at {twin.url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
