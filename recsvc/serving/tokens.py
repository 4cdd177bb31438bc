"""Sealed texts: what the service hands out and wants back unaltered.

A sealed text is URL-safe base64 of a message-authentication code and a payload. The code is keyed
(BLAKE2b, 12 bytes) and covers the purpose, so a page token is no attribution token and nobody can
make one. The payload is not secret.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
import secrets
from base64 import urlsafe_b64decode
from pathlib import Path

from recsvc.errors import ConfigError

KEY_BYTES = 32
_CODE_BYTES = 12
KEY_FILE = "token.key"
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class SealError(ValueError):
    """A text that was not sealed with this key for this purpose."""


class Sealer:
    """Seals and opens payloads with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._begun: dict[str, hashlib.blake2b] = {}

    def seal(self, purpose: str, payload: bytes) -> str:
        """The payload as a text that can be checked later."""
        code = self._code(purpose, payload)
        return _encoded(code + payload)

    def open(self, purpose: str, text: str) -> bytes:
        """The payload of a sealed text; raises SealError."""
        try:
            data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except (binascii.Error, UnicodeEncodeError) as error:
            raise SealError("not base64") from error
        code, payload = data[:_CODE_BYTES], data[_CODE_BYTES:]
        if _encoded(data) != text or not hmac.compare_digest(code, self._code(purpose, payload)):
            raise SealError("altered, or sealed elsewhere")
        return payload

    def _code(self, purpose: str, payload: bytes) -> bytes:
        begun = self._begun.get(purpose)
        if begun is None:
            person = hashlib.blake2b(purpose.encode(), digest_size=16).digest()
            begun = hashlib.blake2b(digest_size=_CODE_BYTES, key=self._key, person=person)
            self._begun[purpose] = begun
        # Key and purpose are worked in once, each payload goes on from there.
        code = begun.copy()
        code.update(payload)
        return code.digest()


def _encoded(data: bytes) -> str:
    """URL-safe base64 without padding; `base64.urlsafe_b64encode` takes two more calls."""
    plain = binascii.b2a_base64(data, newline=False)
    return plain.translate(_URL_SAFE).rstrip(b"=").decode()


def load_key(data_folder: Path) -> bytes:
    """The service's own key, made when it is first needed; raises ConfigError.

    Tokens outlive restarts with it. Servers on several machines need the same file.
    """
    path = data_folder / KEY_FILE
    try:
        data_folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
        if not path.exists():
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)  # fails when somebody was faster: theirs counts
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        key = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be used: {error}") from error
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path} does not hold {KEY_BYTES} bytes: restore it, or delete it")
    return key
