"""Cold starts: importing a function's edge, against importing nothing but its cloud's client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Line, alternate, seconds

FUNCTIONS = Path(__file__).parents[2] / "functions"
CLIENTS = {
    "load_export": (
        "google.cloud.bigquery, google.cloud.storage, functions_framework",
        "boto3, google.cloud.bigquery, aws_lambda_powertools",
    ),
    "deliver_chunk": ("google.cloud.storage, functions_framework", "boto3, aws_lambda_powertools"),
    "relay_webhook": ("google.cloud.storage, functions_framework", "boto3, aws_lambda_powertools"),
}


def measure() -> Iterator[Line]:
    """An edge imports no more than its cloud's client would by itself."""
    for function, clients in CLIENTS.items():
        for cloud, client in zip(("gcp", "aws"), clients, strict=True):
            edge = f"import runpy; runpy.run_path({str(FUNCTIONS / function / f'{cloud}.py')!r})"
            found = alternate({"ours": lambda edge=edge: cold(edge), "client": lambda client=client: cold(f"import {client}")}, rounds=5)  # type: ignore[misc]  # lambdas with defaults
            ours, alone = found["ours"], found["client"]
            yield Line(
                f"cold import of {function}/{cloud}.py",
                f"{ours * 1000:.0f} ms",
                f"its clients alone {alone * 1000:.0f} ms",
                ours / alone,
                "≤ 1.3",
            )


def cold(code: str) -> float:
    """Seconds that a new interpreter takes for this."""
    return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True))
