"""Why an address cannot be connected to, found by trying: the engine says nothing of it."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl

from .credentials import Tls
from .links import parts_of

__all__ = ["why_not"]

#: Seconds to wait for a connection, and then for a refusal of this machine's certificate.
_CONNECT_SECONDS, _REFUSAL_SECONDS = 2.0, 1.0

#: What the other end or its certificate is refused for, in OpenSSL's numbers.
_CERTIFICATE = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is of another authority",
    19: "its certificate is of another authority",
    20: "its certificate is of another authority",
    62: "its certificate is for other names; make one that names this host or address",
    64: "its certificate is for other addresses; make one that names this address",
}

#: What the other end says of this machine's certificate.
_ALERTS = (
    ("CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE", "it wants a certificate (--tls-cert, --tls-key)"),
    ("UNKNOWN_CA|DECRYPT_ERROR|BAD_CERTIFICATE", "it refuses this machine's certificate: another authority"),
    ("CERTIFICATE_EXPIRED", "it refuses this machine's certificate: expired"),
    ("CERTIFICATE_(REVOKED|UNKNOWN)|ACCESS_DENIED", "it refuses this machine's certificate"),
)

#: The other end accepts all that can be tried without the engine.
_OPEN = "it answers, but takes no connection: user or password, another version, or it is no bridge"


def why_not(address: str, tls: Tls | None) -> str:
    """Connect to an address, as far as that is possible without the engine, and say what is wrong.

    Takes up to some 5 s, and as long as the system takes to look up a name.
    """
    kind, host, port = parts_of(address)
    try:
        link = socket.create_connection((host, port), _CONNECT_SECONDS)
    except (socket.gaierror, UnicodeError):  # the second: it cannot even be asked for
        return f"no machine is called {host}"
    except TimeoutError:
        return f"no answer within {_CONNECT_SECONDS:g} s"
    except ConnectionRefusedError:
        return "nothing listens there"
    except OSError as error:
        return error.strerror or str(error)
    with link:
        if kind == "tls" and tls is not None:
            return _refusal(link, host, tls.context())
        return "it is a port for tls/" if _speaks_tls(link) else _OPEN


def _refusal(link: socket.socket, host: str, context: ssl.SSLContext) -> str:
    """Begin TLS, and wait whether the other end refuses this machine's certificate."""
    try:
        with context.wrap_socket(link, server_hostname=host) as secure:
            secure.settimeout(_REFUSAL_SECONDS)
            with contextlib.suppress(TimeoutError):
                secure.recv(1)
            return _OPEN
    except ssl.SSLCertVerificationError as error:
        return _CERTIFICATE.get(error.verify_code, f"its certificate is refused: {error.verify_message}")
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        for pattern, text in _ALERTS:
            if re.search(pattern, reason):
                return text
        return "it is no port for tls/" if "WRONG_VERSION" in reason else f"TLS fails: {reason}"
    except TimeoutError:
        return "it does not answer in TLS; it may be a port for tcp/"
    except OSError:
        return "it ends the connection; it may be a port for tcp/"


def _speaks_tls(link: socket.socket) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with context.wrap_socket(link):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False
