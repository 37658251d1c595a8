-- Whoever changes this row takes a turn at the table: of two transactions that both do, one is refused
-- and tries again, and then sees what the other has loaded.
UPDATE {{ turn | table }} SET turn = @turn WHERE TRUE
