"""Ways to bring users to the vendor: our delivery, a plain threaded sender, and bodies that were built before."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any

import orjson
import requests

from bench.people import users
from rowferry.clock import SystemClock
from rowferry.delivery.account import Account
from rowferry.delivery.deliver import deliver_chunk
from rowferry.delivery.pace import Pacer
from rowferry.destinations.braze import DESTINATION, BrazeSettings
from rowferry.http import HttpClient
from rowferry.owner import Owner
from rowferry.stores.folder import FolderStore
from rowferry.wire import Request
from support.chunks import put_chunk  # noqa: F401
