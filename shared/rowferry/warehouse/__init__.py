"""Where tables live: one port, two adapters (BigQuery, DuckDB), SQL written once."""
