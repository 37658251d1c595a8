"""Where objects live: one port, three adapters (folder, GCS, S3)."""
