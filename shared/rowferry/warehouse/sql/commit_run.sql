-- The run's own row, with its balance.
INSERT INTO {{ runs | table }} (run, sync, destination, mode, status, read_rows, unchanged, delivered, rejected, requests, resent, started_at, finished_at)
VALUES (@run, @sync, @destination, @mode, 'closed', @read_rows, @unchanged, @delivered, @rejected, @requests, @resent, @started_at, @at);
