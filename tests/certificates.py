"""Certificates for brokers and gateways, made for a test and good for a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from controller.document.link import Tls

DAY = timedelta(days=1)


class Authority:
    """Vouches for others, with its files in a directory."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self.file = directory / f"{name}.pem"
        made = self._builder(self._name, self._key.public_key(), DAY)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file.write_bytes(self._sign(made))

    def issue(self, name: str, host: str | None = None, ends_in: timedelta = DAY) -> Tls:
        """A certificate with its key, for a broker at `host` or for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._builder(_named(name), key.public_key(), ends_in)
        if host is not None:
            digits = host.replace(".", "").isdigit()
            alias = x509.IPAddress(ip_address(host)) if digits else x509.DNSName(host)
            made = made.add_extension(x509.SubjectAlternativeName([alias]), critical=False)
        cert, secret = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        cert.write_bytes(self._sign(made))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        secret.write_bytes(pem)
        return Tls(self.file, cert, secret)

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, ends_in: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * DAY)
            .not_valid_after(now + ends_in)
        )

    def _sign(self, made: x509.CertificateBuilder) -> bytes:
        return made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
