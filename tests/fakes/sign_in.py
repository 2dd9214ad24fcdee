"""Signing in with Hugging Face, on localhost: the Hub as the OpenID provider that Gradio's LoginButton talks to."""

import json
import time
from urllib.parse import parse_qs, urlencode

from fastapi.responses import JSONResponse, RedirectResponse, Response
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.fakes.hub_writes import Call, WritableHub

CLIENT, SECRET = "client-of-the-space", "canary_secret_of_the_space"


class SignInHub(WritableHub):
    """A `WritableHub` at which `visitor` says yes to whatever asks for a sign-in, and is given `token`."""

    def __init__(self, visitor: str, token: str) -> None:
        super().__init__()
        self.visitor, self.token = visitor, token
        self.asked_scopes: list[str] = []
        self._nonce = ""
        self._key = RSAKey.generate_key(2048, parameters={"kid": "1", "alg": "RS256", "use": "sig"})
        self.let_in(token, visitor)

    def variables(self) -> dict[str, str]:
        """The environment that a Space with `hf_oauth: true` has."""
        return {
            "SYSTEM": "spaces",
            "SPACE_ID": "someone/voicetune",
            "OAUTH_CLIENT_ID": CLIENT,
            "OAUTH_CLIENT_SECRET": SECRET,
            "OAUTH_SCOPES": "openid profile contribute-repos",
            "OPENID_PROVIDER_URL": self.url,
        }

    def _answer(self, call: Call) -> Response | None:
        match call.path:
            case "/.well-known/openid-configuration":
                return JSONResponse(self._discovery())
            case "/oauth/authorize":
                return self._authorize({name: values[0] for name, values in parse_qs(call.query).items()})
            case "/oauth/token":
                return JSONResponse(self._grant())
            case "/oauth/jwks":
                return JSONResponse({"keys": [self._key.as_dict(private=False)]})
        return super()._answer(call)

    def _discovery(self) -> dict[str, object]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/oauth/authorize",
            "token_endpoint": f"{self.url}/oauth/token",
            "jwks_uri": f"{self.url}/oauth/jwks",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def _authorize(self, asked: dict[str, str]) -> Response:
        self.asked_scopes = asked["scope"].split()
        self._nonce = asked.get("nonce", "")
        answer = urlencode({"code": "a-code", "state": asked["state"]})
        joint = "&" if "?" in asked["redirect_uri"] else "?"
        return RedirectResponse(f"{asked['redirect_uri']}{joint}{answer}", 302)

    def _grant(self) -> dict[str, object]:
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 3600, "nonce": self._nonce,
            "name": self.visitor.title(), "preferred_username": self.visitor, "profile": f"{self.url}/{self.visitor}",
            "picture": f"{self.url}/picture.png",
        }  # fmt: skip
        return {
            "access_token": self.token,
            "token_type": "bearer",
            "expires_in": 3600,
            "scope": " ".join(self.asked_scopes),
            "id_token": jwt.encode({"alg": "RS256", "kid": "1"}, json.loads(json.dumps(claims)), self._key),
        }
