"""SQL databases that syncs read from, through SQLAlchemy: SQL Server, PostgreSQL, MySQL, SQLite."""
