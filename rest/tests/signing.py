"""Keys and tokens of an auth service, made for real."""

import base64
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_EC_KEY = ec.generate_private_key(ec.SECP256R1())
SECRET = "a shared secret of the tests, long enough"
OTHER_SECRET = "a secret that the server has never heard"


def pem_of(key: Any) -> Any:
    public = key.public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem_of(key: Any) -> Any:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def jwk_of(key: Any, kid: str | None = None, **more: Any) -> dict[str, Any]:
    algorithm = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    jwk = algorithm.to_jwk(key.public_key(), as_dict=True) | more
    return jwk | {"kid": kid} if kid else jwk


ABSENT = object()


def claims(**changes: Any) -> dict[str, Any]:
    usual = {"sub": "alice", "exp": int(time.time()) + 600} | changes
    return {name: value for name, value in usual.items() if value is not ABSENT}


def token(key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_token(header: bytes | dict[str, Any], payload: bytes | dict[str, Any], key: Any = SECRET) -> str:
    """Signed by HS256 as it stands: for what no honest library would write."""
    parts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in (header, payload)]
    signed = ".".join(map(encoded, parts))
    algorithm = jwt.get_algorithm_by_name("HS256")
    return f"{signed}.{encoded(algorithm.sign(signed.encode(), key if isinstance(key, bytes) else key.encode()))}"


def bearer(credential: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}", **headers}
