-- The program's own errors, alike ones in one row.
create table fault (
    fingerprint blob primary key,                 -- 16 bytes: where and what, never the values in it
    kind text not null,                           -- the exception's class, or the level of a line without one
    logger text not null,
    place text not null,                          -- module.function:line
    level text not null,
    message text not null,                        -- of the latest one, masked
    trace text not null,
    release text not null,
    request_id text not null,
    n integer not null,
    first_ms integer not null,
    last_ms integer not null
) strict, without rowid;
create index fault_last on fault (last_ms);
