"""Where settings come from: defaults, the file, the environment, secret files and credentials, options; later ones win.

What is wrong is said all at once, one line each: the key, its value, where it came from, what is allowed.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from signalcraft.config.fields import PREFIX, Field, fields, sections, value_of
from signalcraft.config.forms import FORMS
from signalcraft.config.model import Settings, check
from signalcraft.config.profiles import PROFILES
from signalcraft.config.secret import Secret
from signalcraft.errors import BadSetting

SYSTEM_FILE = Path("/etc/signalcraft/signalcraft.toml")
SYSTEM_DATA = Path("/var/lib/signalcraft")
_SECRET_FILE_MAX = 65_536
_NOT_SETTINGS = {f"{PREFIX}CONFIG", f"{PREFIX}UNPACK_DIR"}  # the second is for the loader of the one-file program


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The settings and where each came from (`origin` by path: "default", "file …", "environment …", …)."""

    settings: Settings
    origin: dict[str, str]
    file: Path | None = None

    def table(self) -> list[tuple[str, str, str]]:
        """Key, value as it may be shown, origin: every setting, in order. Secrets are •••."""
        return [(path, show(value_of(self.settings, path)), self.origin[path]) for path in fields()]


def environment(name: str, default: str = "") -> str:
    """A variable that is no setting of ours (NOTIFY_SOCKET, EDITOR): nobody else reads the environment."""
    return os.environ.get(name, default)


def whole_environment() -> dict[str, str]:
    """All of it, for child processes."""
    return dict(os.environ)


def show(value: Any) -> str:
    """A value as TOML would spell it; a secret as •••."""
    if isinstance(value, Secret):
        return f'"{value}"'
    return msgspec.json.encode(value).decode()


@dataclass
class _Draft:
    """Values as found: (value, origin, whether it is a text to be read as its type wants); and what is wrong so far."""

    values: dict[str, tuple[Any, str, bool]] = field(default_factory=dict)
    wrong: list[tuple[str, str]] = field(default_factory=list)

    def put(self, path: str, value: Any, origin: str, *, loose: bool = False) -> None:
        self.values[path] = (value, origin, loose)

    def blame(self, path: str, sentence: str) -> None:
        self.wrong.append((path, f"{path}: {sentence}"))


def load(
    config_file: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """The settings of this start.

    `config_file` is the one that was asked for (it must be there); else $SIGNALCRAFT_CONFIG, else /etc/signalcraft/
    signalcraft.toml where it exists. `overrides` are options of the command line by path. Raises BadSetting: its
    `detail` has one line for each thing that is wrong, its `errors` the same as (path, line).
    """
    environ = os.environ if environ is None else environ
    draft = _Draft()
    file = _file_of(config_file, environ)
    if file is not None:
        _read_file(draft, file)
    _read_environ(draft, environ)
    _read_credentials(draft, environ)
    for path, text in (overrides or {}).items():
        draft.put(path, text, "command line", loose=True)
    origin = dict.fromkeys(fields(), "default")
    values: dict[str, Any] = {}
    for path, (value, where, loose) in draft.values.items():
        try:
            values[path] = _clean(fields()[path], value, loose=loose)
            origin[path] = where
        except ValueError as fault:
            draft.wrong.append((path, _line(fields()[path], value, where, str(fault))))
    profile = values.get("profile", "production")
    for path, value in PROFILES[profile].items():
        if path not in values:
            values[path], origin[path] = value, f"profile {profile}"
    if not values.get("data.dir"):
        values["data.dir"], origin["data.dir"] = _data_dir(environ)
    settings = _build(values)
    if not draft.wrong:
        for path, sentence in check(settings):
            draft.wrong.append((path, f"{path} = {show(value_of(settings, path))} (from {origin[path]}): {sentence}"))
    if draft.wrong:
        raise BadSetting("\n".join(line for _, line in draft.wrong), path=draft.wrong[0][0], errors=tuple(draft.wrong))
    return Loaded(settings=settings, origin=origin, file=file)


def _file_of(asked: Path | None, environ: Mapping[str, str]) -> Path | None:
    if asked is not None:
        return asked
    if environ.get(f"{PREFIX}CONFIG"):
        return Path(environ[f"{PREFIX}CONFIG"])
    return SYSTEM_FILE if SYSTEM_FILE.exists() else None


def _read_file(draft: _Draft, file: Path) -> None:
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except OSError as fault:
        raise BadSetting(f"{file}: the settings file cannot be read ({fault.strerror})", path=str(file)) from None
    except ValueError as fault:  # not TOML, or not UTF-8
        raise BadSetting(f"{file}: this is not TOML: {fault}", path=str(file)) from None
    _read_table(draft, table, "", file)


def _read_table(draft: _Draft, table: Mapping[str, Any], prefix: str, file: Path) -> None:
    origin = f"file {file}"
    for name, value in table.items():
        path = prefix + name
        if path in fields():
            draft.put(path, value, origin)
        elif path in sections():
            if isinstance(value, dict):
                _read_table(draft, value, f"{path}.", file)
            else:
                draft.blame(path, f"a section is expected, written [{path}] (from {origin})")
        elif path.endswith("_file") and _is_secret(path.removesuffix("_file")):
            _read_secret(draft, path.removesuffix("_file"), str(value), f"{origin}, {name}")
        else:
            draft.blame(path, f"there is no such setting (from {origin}){_nearest(path)}")


def _read_environ(draft: _Draft, environ: Mapping[str, str]) -> None:
    by_env = {f.env: f for f in fields().values()}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in _NOT_SETTINGS:
            continue
        secret = by_env.get(name.removesuffix("_FILE"))
        if name in by_env:
            draft.put(by_env[name].path, environ[name], f"environment {name}", loose=True)
        elif secret is None or not secret.is_secret:
            draft.wrong.append((name, f"{name}: there is no such setting (from the environment){_nearest_env(name)}"))
        elif secret.env in environ:
            draft.blame(secret.path, f"both {secret.env} and {name} are set: keep one of them")
        else:
            _read_secret(draft, secret.path, environ[name], f"environment {name}")


def _read_credentials(draft: _Draft, environ: Mapping[str, str]) -> None:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return
    for f in fields().values():
        if f.credential and (Path(directory) / f.credential).exists():
            _read_secret(draft, f.path, str(Path(directory) / f.credential), "systemd credential")


def _read_secret(draft: _Draft, path: str, file: str, origin: str) -> None:
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(_SECRET_FILE_MAX).decode("utf-8").rstrip("\r\n")
    except OSError as fault:
        draft.blame(path, f"{file} cannot be read: {fault.strerror} (from {origin})")
    except ValueError:
        draft.blame(path, f"{file} does not hold text (from {origin})")
    else:
        draft.put(path, text, f"{origin}: {file}", loose=True)


def _clean(f: Field, value: Any, *, loose: bool) -> Any:
    """The value as its type and form want it. Raises ValueError with what is allowed."""
    if f.is_secret:
        if not isinstance(value, str) or (loose and not value):
            raise ValueError(f.allowed())
        return Secret(value)
    if f.is_list and loose:
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        clean = msgspec.convert(value, f.annotated, strict=not loose)
    except msgspec.ValidationError:
        raise ValueError(f.allowed()) from None
    if f.form is None:
        return clean
    form = FORMS[f.form]
    return [form(item) for item in clean] if f.is_list else form(clean)


def _line(f: Field, value: Any, origin: str, allowed: str) -> str:
    shown = show(Secret("x")) if f.is_secret else _short(value)
    default = "" if f.is_secret or f.default in ("", []) else f"; the default is {show(f.default)}"
    return f"{f.path} = {shown} (from {origin}): {allowed} is expected{default}"


def _short(value: Any) -> str:
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= 80 else text[:79] + "…"


def _build(values: Mapping[str, Any]) -> Settings:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, name = path.split(".")
        level = tree
        for parent in parents:
            level = level.setdefault(parent, {})
        level[name] = value
    settings: Settings = _struct(Settings, tree)
    return settings


def _struct(kind: Any, tree: Mapping[str, Any]) -> Any:
    types = {f.name: f.type for f in msgspec.structs.fields(kind)}
    return kind(**{name: _struct(types[name], v) if isinstance(v, dict) else v for name, v in tree.items()})


def _data_dir(environ: Mapping[str, str]) -> tuple[str, str]:
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return given, "environment STATE_DIRECTORY"
    writable = SYSTEM_DATA if SYSTEM_DATA.exists() else SYSTEM_DATA.parent
    if os.access(writable, os.W_OK):
        return str(SYSTEM_DATA), "default"
    home = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".local" / "share")
    return str(Path(home) / "signalcraft"), "default"


def _is_secret(path: str) -> bool:
    return path in fields() and fields()[path].is_secret


def _nearest(path: str) -> str:
    known = [*fields(), *sections()]
    last = path.rpartition(".")[2]
    same = [name for name in fields() if name.rpartition(".")[2] == last]
    found = same or difflib.get_close_matches(path, known, n=1, cutoff=0.6)
    if not found:
        by_last = {name.rpartition(".")[2]: name for name in known}
        found = [by_last[n] for n in difflib.get_close_matches(last, by_last, n=1, cutoff=0.6)]
    return f"; the nearest is {found[0]}" if found else "; docs/reference/configuration.md lists them all"


def _nearest_env(name: str) -> str:
    known = [f.env for f in fields().values()] + [f"{f.env}_FILE" for f in fields().values() if f.is_secret]
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; the nearest is {found[0]}" if found else "; docs/reference/configuration.md lists them all"
