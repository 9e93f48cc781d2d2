"""The faults a caller can be told about. Each becomes one problem+json answer (RFC 9457) or one line on a terminal."""

from __future__ import annotations


class Fault(Exception):
    """A fault with a stable code, an HTTP status and a sentence for people.

    `path` names the offending field (JSON path, dotted) where there is one.
    """

    code = "internal"
    status = 500

    def __init__(self, detail: str, *, path: str = "", errors: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.path = path
        self.errors: tuple[tuple[str, str], ...] = errors or (((path, detail),) if path else ())


class Invalid(Fault):
    """What was asked cannot be read or breaks a rule."""

    code = "invalid"
    status = 422


class NotSignedIn(Fault):
    """No credential, or one that is wrong, revoked or expired."""

    code = "not_signed_in"
    status = 401


class Forbidden(Fault):
    """The role or the API key does not allow it."""

    code = "forbidden"
    status = 403


class NotFound(Fault):
    """No such thing in this workspace."""

    code = "not_found"
    status = 404


class Conflict(Fault):
    """It makes no sense in the present state; `detail` says the state."""

    code = "conflict"
    status = 409


class Gone(Fault):
    """It was there once and is no more: a link that was used, taken back, or is past its time."""

    code = "gone"
    status = 410


class ChangedMeanwhile(Fault):
    """Somebody changed it since it was read (If-Match); read it again."""

    code = "changed_meanwhile"
    status = 412


class TooLarge(Fault):
    """A body above the stated limit."""

    code = "too_large"
    status = 413


class WrongType(Fault):
    """A content type that the route does not read."""

    code = "wrong_type"
    status = 415


class TooMany(Fault):
    """A rate limit; `retry_after_s` says when to come back.

    `name`: which of the limits, in a word; `limit`: how many it allows, 0 where that was said elsewhere.
    """

    code = "too_many"
    status = 429

    def __init__(self, detail: str, *, retry_after_s: int = 1, name: str = "", limit: int = 0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.name = name
        self.limit = limit


class Busy(Fault):
    """The writer cannot take more just now, or the disk is full: the sender is to try again."""

    code = "busy"
    status = 503

    def __init__(self, detail: str, *, retry_after_s: int = 5) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class DiskFull(Busy):
    """Nothing more fits on the disk: it is over by itself as soon as there is room."""


class BadSignature(Fault):
    """A webhook whose signature is missing or wrong."""

    code = "bad_signature"
    status = 401


class Unreadable(Fault):
    """A body from a known sender that its source cannot read; it is kept in quarantine."""

    code = "unreadable"
    status = 422


class BadSetting(Fault):
    """A setting that stops the start; `path` names the key and where its value came from."""

    code = "bad_setting"
    status = 500


class Damaged(Fault):
    """A backup, a database or an archive that is not whole, or was changed since it was written."""

    code = "damaged"
    status = 500


class WrongKey(Fault):
    """A key that does not open this backup; `detail` says which one does."""

    code = "wrong_key"
    status = 409


class MasterKeyMissing(Conflict):
    """The secrets in the copy hang on a master key that is not at hand."""

    code = "master_key_missing"


class Foreign(Fault):
    """A file that is none of this program's, or one of a later version of its format."""

    code = "foreign"
    status = 409


class NoReplica(Fault):
    """A replica that is not there, cannot be reached, or holds nothing that was asked for."""

    code = "no_replica"
    status = 502
