"""A certificate that nobody trusts, for tests of what a client says to it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["self_signed"]

_COMMAND = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_NAMES = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 with the ``openssl`` command; return the PEM files of it and of its key.

    Args:
        folder: where to put them.
    """
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    files = ("-days", "2", "-out", str(certificate), "-keyout", str(key))
    subprocess.run((*_COMMAND, *_NAMES, *files), check=True, capture_output=True)  # noqa: S603 - fixed words
    return certificate, key
