-- Every version of every file that the ledger knows, in the order of a listing.
SELECT file, version, status, contract, file_updated_at
FROM {{ loads | table }}
WHERE file >= @first
ORDER BY file
