"""The lists of algorithms that were asked for, as AsyncSSH takes them."""


def chosen(o):
    lists = {"kex_algs": o.kex, "encryption_algs": o.ciphers, "mac_algs": o.macs, "compression_algs": o.compression}
    given = {name: names for name, names in lists.items() if names}
    return given | ({"rekey_bytes": o.rekey_bytes} if o.rekey_bytes else {})
