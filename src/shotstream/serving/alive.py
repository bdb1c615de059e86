"""``python -m shotstream.serving.alive``: a container's health check.

Any answer at all, over http or https, means that it is alive; without the token nothing more is told.
"""

from __future__ import annotations

import http.client
import ssl
import sys

PATIENCE = 5.0  # seconds


def answers(port: int) -> bool:
    """Does anything answer there as a studio would?"""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE  # its name is another; nothing is told to it
    plain = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    for connection in (plain, http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=anybody)):
        try:
            connection.request("GET", "/login")
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
    return False


if __name__ == "__main__":
    sys.exit(not answers(int(sys.argv[1]) if len(sys.argv) > 1 else 7860))
