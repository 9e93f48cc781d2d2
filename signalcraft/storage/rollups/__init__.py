"""Long-range numbers in DuckDB: `<data>/metrics.duckdb`, made from the database and the archive, and disposable.

Only child processes work with it (`worker`): the serving process never loads DuckDB and never feels its memory. The
file's marks say up to which id of each table it has counted; a mark moves in the transaction that counts, so that
nothing is counted twice or left out, whatever is killed when.
"""
