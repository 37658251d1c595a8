-- How many files of some feeds are in, of those whose load began at a time or later.
SELECT COUNT(*) AS files
FROM {{ loads | table }}
WHERE status = 'loaded' AND feed IN UNNEST(@feeds) AND loaded_at >= @since
