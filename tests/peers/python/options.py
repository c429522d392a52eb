"""The options of every peer's programs, for those in Python."""

import argparse


def parse():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("user", "password", "auth", "key", "known-host-key", "hostkey", "authorized-key"):
        parser.add_argument(f"--{name}", default="")
    for name in ("kex", "host-key-algorithms", "ciphers", "macs", "compression"):
        parser.add_argument(f"--{name}", type=lambda names: names.split(","))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rekey-bytes", type=int)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("command", nargs="?", default="")
    return parser.parse_args()
