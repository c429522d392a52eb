"""What the client and the server on Paramiko share."""

import os
import socket
import threading

import paramiko

CHUNK = 65536


def start(link, o):
    """A transport with the algorithms that were asked for."""
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(link)
    security = transport.get_security_options()
    lists = {"kex": o.kex, "ciphers": o.ciphers, "digests": o.macs, "key_types": o.host_key_algorithms,
             "compression": o.compression}
    for name, names in lists.items():
        if names:
            setattr(security, name, names)
    if o.rekey_bytes:
        transport.packetizer.REKEY_BYTES = o.rekey_bytes
    return transport


def background(work, *arguments):
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def copy(read, write):
    """To the end; False when the other side did not want all of it."""
    while data := read(CHUNK):
        try:
            write(data)
        except OSError:
            return False
    return True


def write_all(descriptor):
    """A function that writes all of its argument to the descriptor."""
    def write(data):
        while data:
            data = data[os.write(descriptor, data):]
    return write


def read_from(descriptor):
    return lambda size: os.read(descriptor, size)
