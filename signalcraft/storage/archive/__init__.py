"""The archive: what was deleted, in monthly Parquet files beside the database, and the list that vouches for them.

`<data>/archive/<workspace id>/<table>/2026-03.1.parquet`, and `<data>/archive/<workspace id>/manifest.json`. A file is
written under another name, made durable, read back and renamed; it counts once the manifest names it, and nothing is
ever written to a name twice. DuckDB works in a child process alone (`worker`), which this process hands its questions.
"""
