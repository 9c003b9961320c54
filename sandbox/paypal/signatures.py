"""PayPal's signature: RSA over ids, time and CRC32, with a certificate that anybody can fetch. Ours is self-made."""

import base64
import binascii
import functools
import json
import uuid
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from sandbox.clock import text
from sandbox.letters import Envelope

if TYPE_CHECKING:
    from sandbox.paypal import PayPal

ALGORITHM = "SHA256withRSA"
HOST_NAME = "messageverificationcerts.sandbox.paypal.com"
CERTIFICATE_DAYS = 365 * 25  # the sandbox's clock may be moved by years


def seal(gateway: "PayPal", content: dict[str, Any], *, is_genuine: bool) -> Envelope:
    body = json.dumps(content["event"], ensure_ascii=False).encode()
    identifier, moment = str(uuid.uuid4()), text(gateway.now())
    key = _key(gateway) if is_genuine else _key_of_forger()
    signed = message(identifier, moment, content["webhook_id"], body)
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return Envelope(
        headers={
            "Content-Type": "application/json",
            "User-Agent": "PayPal/AUHR-214.0-55417034",
            "PAYPAL-TRANSMISSION-ID": identifier,
            "PAYPAL-TRANSMISSION-TIME": moment,
            "PAYPAL-TRANSMISSION-SIG": base64.b64encode(signature).decode(),
            "PAYPAL-CERT-URL": certificate_url(gateway),
            "PAYPAL-AUTH-ALGO": ALGORITHM,
            "PAYPAL-AUTH-VERSION": "v2",
        },
        body=body,
    )


def message(transmission_id: str, moment: str, webhook_id: str, body: bytes) -> bytes:
    return f"{transmission_id}|{moment}|{webhook_id}|{zlib.crc32(body) & 0xFFFFFFFF}".encode()


def is_valid(gateway: "PayPal", said: dict[str, Any], raw_event: bytes) -> bool:
    """What PayPal answers to verify-webhook-signature: every part must be the one that we sent."""
    if said["auth_algo"] != ALGORITHM or said["cert_url"] != certificate_url(gateway):
        return False
    signed = message(said["transmission_id"], said["transmission_time"], said["webhook_id"], raw_event)
    try:
        signature = base64.b64decode(said["transmission_sig"], validate=True)
        _key(gateway).public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error):
        return False
    return True


def certificate_url(gateway: "PayPal") -> str:
    serial = x509.load_pem_x509_certificate(certificate(gateway)).serial_number
    return f"{gateway.base_url()}/v1/notifications/certs/CERT-{serial:x}"


def certificate(gateway: "PayPal") -> bytes:
    keys = gateway.state["keys"]
    if "certificate" not in keys:
        keys["certificate"] = _self_signed(_key(gateway)).decode()
    return str(keys["certificate"]).encode()


def _key(gateway: "PayPal") -> rsa.RSAPrivateKey:
    keys = gateway.state["keys"]
    if "private" not in keys:
        keys["private"] = _written(_key_of_sandbox())
    return _read(keys["private"])


@functools.cache
def _key_of_sandbox() -> rsa.RSAPrivateKey:
    """Made once for the process: a reset forgets payments, and making keys takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@functools.cache
def _key_of_forger() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def _written(key: rsa.RSAPrivateKey) -> str:
    nothing = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, nothing).decode()


@functools.lru_cache(maxsize=4)
def _read(text_of_key: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(text_of_key.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("The kept key is no RSA key.")
    return key


def _self_signed(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST_NAME)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST_NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)
