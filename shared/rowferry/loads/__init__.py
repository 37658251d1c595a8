"""An export file's way into a table."""
