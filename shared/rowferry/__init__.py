"""Rowferry moves customer data between buckets, BigQuery and vendors, and accounts for every row."""

__version__ = "0.1.0"
