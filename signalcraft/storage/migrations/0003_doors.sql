-- Further ways to sign in: OpenID Connect and passkeys.

-- Who a person is at an identity provider. Linked once by a verified address; from then on the subject counts.
create table identity (
    id integer primary key,
    person_id integer not null references person (id) on delete cascade,
    issuer text not null,
    subject text not null,
    email text not null,                          -- as the provider said it last, lower case
    created_ms integer not null,
    last_used_ms integer not null,
    unique (issuer, subject),
    unique (person_id, issuer)
) strict;

-- Public keys: nothing here signs in.
create table passkey (
    id integer primary key,
    person_id integer not null references person (id) on delete cascade,
    rp_id text not null,                          -- the host name it was made for; it works for no other
    credential_id blob not null unique,
    credential blob not null,                     -- attested credential data (WebAuthn, 6.5.1): AAGUID, id, COSE key
    sign_count integer not null,
    transports text not null,                     -- JSON list
    synced integer not null,                      -- 1: kept by a password manager, on more than one device
    name text not null,
    created_ms integer not null,
    last_used_ms integer
) strict;
create index passkey_person on passkey (person_id, id);
