"""The HTTP side of WHIP and WHEP by the letter of RFC 9725, for clients that have the WebRTC side only."""

import urllib.error
import urllib.request
from urllib.parse import urljoin

from report import emit


class Session:
    def __init__(self, address: str, token: str) -> None:
        self.address, self.token, self.resource, self.etag = address, token, None, None

    def send(self, method: str, address: str, body: str | None = None, **headers) -> tuple[int, dict, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(address, body and body.encode(), named, method=method)
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, response.headers, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def open(self, offer: str) -> str:
        status, headers, answer = self.send("POST", self.address, offer, Content_Type="application/sdp")
        if status != 201:
            raise SystemExit(f"refused: {status} {answer}")
        self.resource, self.etag = urljoin(self.address, headers["Location"]), headers["ETag"]
        emit("opened", resource=self.resource, etag=self.etag)
        return answer

    def trickle(self, sdp: str, candidates: tuple[str, ...] = ()) -> None:
        wanted = ("a=ice-ufrag", "a=ice-pwd", "m=audio", "a=mid:", "a=candidate")
        lines: list[str] = []
        for line in sdp.splitlines():
            if line.startswith("m=") and any(found.startswith("m=") for found in lines):
                break
            if line.startswith(wanted):
                lines.append(line)
        lines.extend(f"a={candidate}" for candidate in candidates)
        fragment = "\r\n".join(lines) + "\r\n"
        kind = "application/trickle-ice-sdpfrag"
        status, _, text = self.send("PATCH", self.resource, fragment, Content_Type=kind, If_Match=self.etag)
        emit("trickled", status=status, text=text)

    def delete(self) -> None:
        status, _, _ = self.send("DELETE", self.resource)
        emit("deleted", status=status)
