#!/usr/bin/env python3
"""Makes archives that try to reach DIR/escaped or to lie about their size: evil_tar.py DIR"""
import io, sys, tarfile

folder = sys.argv[1]
out = folder.lstrip("/")


def archive(name, *entries):
    with tarfile.open(f"{folder}/{name}.tar", "w") as tar:
        for path, kind, link in entries:
            info = tarfile.TarInfo(path)
            info.type, info.linkname, info.mode = kind, link, 0o755
            info.size = 1 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(b"x"))


FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
up = "../" * 12
archive("dotdot", (f"{up}{out}/escaped", FILE, ""))
archive("absolute", (f"/{out}/escaped", FILE, ""))
archive("symlink", ("d", LINK, folder), ("d/escaped", FILE, ""))
archive("relative", ("d", LINK, up + out), ("d/escaped", FILE, ""))
archive("hardlink", ("h", HARD, "/etc/passwd"))
archive("hardlink_up", ("h", HARD, up + "etc/passwd"))
huge = tarfile.TarInfo("huge")
huge.size = 1 << 62
with open(f"{folder}/huge.tar", "wb") as f:
    f.write(huge.tobuf(tarfile.GNU_FORMAT) + b"x" * 1000)
