"""A BigQuery for tests: the packaged emulator in this process, its load jobs put right.

The emulator's SQL is good; its load jobs are not (they ignore every CSV option, take the first
line for a header, never answer 409 for a used job id). `bigquery_seams` replaces those. What it
still gets wrong is asserted as requests in `tests/warehouse/test_bigquery.py`.

    emulator = bigquery_emulator()          # one a test process, stopped at its end
    client = emulator.client()              # the real google-cloud-bigquery
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import tempfile
import threading
from functools import cache
from pathlib import Path

import grpc  # type: ignore[import-untyped]  # its stubs are a package of their own
import structlog
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client  # noqa: TID251 - a stand-in for it
from google.cloud.bigquery_storage import BigQueryReadClient  # noqa: TID251 - a stand-in for it
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport  # noqa: TID251 - a stand-in for it

PROJECT = "test-project"
_START_SECONDS = 300


class BigQueryEmulator:
    """The emulator on a thread of its own, on free ports of loopback.

    `gs://bucket/name` is the file `<buckets>/bucket/name`.
    """

    def __init__(self, buckets: Path) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))  # it logs while being imported
        from bqemulator.config import Settings
        from bqemulator.server import EmulatorServer

        from support.bigquery_seams import grow_tables, put_right

        put_right()
        self._grow_tables = grow_tables
        self.buckets = buckets
        self._server = EmulatorServer(
            Settings(
                rest_host="127.0.0.1",
                grpc_host="127.0.0.1",
                rest_port=0,
                grpc_port=0,
                gcs_local_root=buckets,
                persistence_mode="ephemeral",
                default_project_id=PROJECT,
                log_level="error",
                metrics_enabled=False,
                enable_format_extensions=False,
            )
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="bigquery-emulator", daemon=True)
        self._up = threading.Event()
        self._failure: Exception | None = None

    def start(self) -> BigQueryEmulator:
        """Start and wait until it answers. Raises what kept it from starting."""
        self._thread.start()
        if not self._up.wait(_START_SECONDS):
            raise TimeoutError("the BigQuery emulator did not start")
        if self._failure:
            raise self._failure
        self._grow_tables(self._server._context)
        return self

    def stop(self) -> None:
        """Stop the server and its thread."""
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`, for `endpoint`."""
        return str(self._server.rest_url)

    def client(self, location: str = "US") -> Client:
        """A real client of the emulator."""
        options = ClientOptions(api_endpoint=self.url)
        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]  # Google's
        return Client(project=PROJECT, credentials=credentials, client_options=options, location=location)

    def read_client(self) -> BigQueryReadClient:
        """A real client of the Storage Read API."""
        transport = BigQueryReadGrpcTransport(channel=grpc.insecure_channel(self._server.grpc_endpoint))
        return BigQueryReadClient(transport=transport)  # type: ignore[no-untyped-call]  # Google's

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._server.start())
        except Exception as error:  # whatever it is, whoever waits for the start is to see it
            self._failure = error
            self._up.set()
            return
        self._up.set()
        self._loop.run_forever()


@cache
def bigquery_emulator() -> BigQueryEmulator:
    """The emulator of this test process, started by the first who asks."""
    folder = tempfile.TemporaryDirectory(prefix="rowferry-buckets-")
    emulator = BigQueryEmulator(Path(folder.name)).start()
    atexit.register(folder.cleanup)
    atexit.register(emulator.stop)
    return emulator
