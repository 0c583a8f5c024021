#!/usr/bin/env python3
"""Prints the golden datagrams of voice.rs, computed from docs/protocol/voice.md alone.

Needs the Python package `cryptography` for AES-GCM. Run it when the wire format changes on purpose.
"""

import hashlib
import hmac
import struct
import zlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SESSION_SECRET = b"\x11" * 32
BASE_KEY = b"\x22" * 32
SENDER, EPOCH, SSRC = 5, 3, 0xCAFEF00D
COOKIE = 0x2112A442


def hkdf(algorithm, secret, info, length):
    prk = hmac.new(b"\0" * hashlib.new(algorithm).digest_size, secret, algorithm).digest()
    block, out, count = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([count]), algorithm).digest()
        out, count = out + block, count + 1
    return out[:length]


HOP_UP = hkdf("sha256", SESSION_SECRET, b"voxhall hop up", 32)
STUN = hkdf("sha256", SESSION_SECRET, b"voxhall stun", 32)


def tag(key, data):
    return hmac.new(key, data, "sha256").digest()[:10]


def sframe_field(value):
    if value < 8:
        return value, b""
    encoded = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return 8 | (len(encoded) - 1), encoded


def voice(sequence, marker, extension, text, ctr):
    first = 0x90 if extension else 0x80
    second = 111 | (0x80 if marker else 0)
    rtp = struct.pack(">BBHII", first, second, sequence, sequence * 480, SSRC) + extension
    kid = SENDER << 6 | EPOCH & 63
    (kid_nibble, kid_bytes), (ctr_nibble, ctr_bytes) = sframe_field(kid), sframe_field(ctr)
    sframe = bytes([kid_nibble << 4 | ctr_nibble]) + kid_bytes + ctr_bytes
    suite = struct.pack(">QH", kid, 5)
    key = hkdf("sha512", BASE_KEY, b"SFrame 1.0 Secret key " + suite, 32)
    salt = hkdf("sha512", BASE_KEY, b"SFrame 1.0 Secret salt " + suite, 12)
    nonce = (int.from_bytes(salt, "big") ^ ctr).to_bytes(12, "big")
    datagram = rtp + sframe + AESGCM(key).encrypt(nonce, text, sframe + rtp)
    rollover = struct.pack(">I", 0)
    return datagram + tag(HOP_UP, datagram + rollover)


def attribute(kind, value):
    return struct.pack(">HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)


def stun(kind, transaction, attributes):
    def header(length):
        return struct.pack(">HHI", kind, length, COOKIE) + transaction

    covered = header(len(attributes) + 36) + attributes
    attributes += attribute(0x001C, hmac.new(STUN, covered, "sha256").digest())
    crc = zlib.crc32(header(len(attributes) + 8) + attributes) ^ 0x5354554E
    attributes += attribute(0x8028, struct.pack(">I", crc))
    return header(len(attributes)) + attributes


def main():
    print("UP", voice(1, True, b"", b"opus frame", 0).hex())
    level = bytes([0xBE, 0xDE, 0, 1, 0x10, 0x80 | 20, 0, 0])
    print("UP_WITH_LEVEL", voice(2, False, level, b"", 1).hex())

    report = struct.pack(">BBHII", 0x80, 201, 1, SSRC, 0)
    print("RTCP_UP", (report + tag(HOP_UP, report)).hex())

    transaction = b"\x07" * 12
    filler = attribute(0x0026, b"\0" * 40)
    request = attribute(0x0006, b"0000000000000abc") + filler
    print("STUN_REQUEST", stun(0x0001, transaction, request).hex())
    address = bytes(a ^ b for a, b in zip(bytes([192, 0, 2, 1]), struct.pack(">I", COOKIE)))
    mapped = struct.pack(">HH", 1, 9000 ^ (COOKIE >> 16)) + address
    print("STUN_SUCCESS", stun(0x0101, transaction, attribute(0x0020, mapped)).hex())


if __name__ == "__main__":
    main()
