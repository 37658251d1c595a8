"""The statements that the BigQuery adapter writes itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rowferry.warehouse.names import quote_column
from rowferry.warehouse.port import WarehouseError


def create_as_statement(table: str, sql: str, expires_at: datetime | None, cluster_by: Sequence[str]) -> str:
    """CREATE TABLE IF NOT EXISTS … AS, with clusters and expiry. `table` is quoted."""
    parts = [f"CREATE TABLE IF NOT EXISTS {table}"]
    if cluster_by:
        parts.append(f"CLUSTER BY {', '.join(map(quote_column, cluster_by))}")
    if expires_at is not None:
        at = expires_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S+00")
        parts.append(f"OPTIONS (expiration_timestamp = TIMESTAMP '{at}')")
    return "\n".join([*parts, "AS", sql.strip().rstrip(";")])


def export_statement(sql: str, folder: str) -> str:
    """EXPORT DATA into `folder`, as gzipped JSON lines. The star becomes each file's number, of twelve digits
    (cloud.google.com/bigquery/docs/reference/standard-sql/export-statements, read 2026-11)."""
    if set(folder) & {"'", "\\", "*", "\n"}:
        raise WarehouseError(f"BigQuery can't be told to write into {folder!r}: a quote, backslash, star or line break stands in it")
    options = f"uri = '{folder}*.json.gz', format = 'JSON', compression = 'GZIP', overwrite = false"
    return f"EXPORT DATA OPTIONS ({options}) AS\n{sql.strip().rstrip(';')}"


def apply_script(applied: str, statements: Sequence[str]) -> str:
    """A script that runs `statements` and remembers `@rowferry_once`, in one transaction; it answers whether it did.

    INSERT only into `applied`: two transactions that only add rows to a table don't cancel each other
    (cloud.google.com/bigquery/docs/transactions#transaction_concurrency, read 2026-11-21). What keeps two
    scripts of one name from running side by side is their common job id.
    """
    body = "\n".join(f"{statement.strip().rstrip(';')}\n;" for statement in statements)
    return f"""DECLARE rowferry_ran BOOL DEFAULT FALSE;
BEGIN TRANSACTION;
IF NOT EXISTS (SELECT 1 FROM {applied} WHERE name = @rowferry_once) THEN
INSERT INTO {applied} (name, applied_at) VALUES (@rowferry_once, CURRENT_TIMESTAMP());
{body}
SET rowferry_ran = TRUE;
END IF;
COMMIT TRANSACTION;
SELECT rowferry_ran AS ran;"""
