#!/usr/bin/env python3
"""Changes a CRIU image as somebody would who forges one: images.py FILE ENTRY CHANGE…

ENTRY: the number of the entry in the file, "new" for a copy of the last one, or FIELD=VALUE for the first entry that has it.
CHANGE: FIELD=VALUE sets, FIELD= removes; `gone` takes the whole entry away. FIELD: numbers of protobuf fields from the outside to the inside ("5.10.11"). VALUE: a number, text
after a colon (":/etc"), or bytes in hex after an x. No schema is needed: what is not named stays byte by byte.
"""
import struct
import sys

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
ONE_MAGIC = 0x58313116  # inventory.img


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def pack_varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def parse(data):
    """[field, type, value] of one message."""
    out, at = [], 0
    while at < len(data):
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = varint(data, at)
        else:
            size, at = varint(data, at) if kind == BYTES else ({FIXED64: 8, FIXED32: 4}[kind], at)
            value, at = data[at : at + size], at + size
        out.append([tag >> 3, kind, value])
    return out


def pack(fields):
    out = b""
    for number, kind, value in fields:
        out += pack_varint(number << 3 | kind)
        out += pack_varint(value) if kind == VARINT else (pack_varint(len(value)) if kind == BYTES else b"") + value
    return out


def of_text(text):
    if text.startswith("x"):
        return BYTES, bytes.fromhex(text[1:])
    return (BYTES, text[1:].encode()) if text.startswith(":") else (VARINT, int(text, 0))


def change(message, path, text):
    fields = parse(message)
    number, rest = path[0], path[1:]
    if rest:
        found = next((f for f in fields if f[0] == number), None)
        if not found:
            found = [number, BYTES, b""]
            fields.append(found)
        found[2] = change(found[2], rest, text)
        return pack(fields)
    fields = [f for f in fields if f[0] != number]
    if text:
        fields.append([number, *of_text(text)])
    return pack(fields)


def has(message, path, text):
    values = [f[1:] for f in parse(message) if f[0] == path[0]]
    if len(path) > 1:
        return any(kind == BYTES and has(value, path[1:], text) for kind, value in values)
    return any(tuple(v) == of_text(text) for v in values)


def assignment(text):
    field, value = text.split("=", 1)
    return [int(n) for n in field.split(".")], value


def choose(entries, which):
    if which == "new":
        entries.append(entries[-1])
        return len(entries) - 1
    if "=" in which:
        path, text = assignment(which)
        return next(i for i, entry in enumerate(entries) if has(entry, path, text))
    return int(which)


def main(name, which, *changes):
    with open(name, "rb") as file:
        data = file.read()
    at = 4 if struct.unpack_from("<I", data)[0] == ONE_MAGIC else 8
    head, entries = data[:at], []
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        entries.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    number = choose(entries, which)
    if changes == ("gone",):
        del entries[number]
        changes = ()
    for text in changes:
        entries[number] = change(entries[number], *assignment(text))
    with open(name, "wb") as file:
        file.write(head + b"".join(struct.pack("<I", len(e)) + e for e in entries))


main(*sys.argv[1:])
