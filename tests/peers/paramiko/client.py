"""A client on Paramiko: one command, on one channel or on several at once."""

import os
import socket
import sys

import paramiko

import options
from transport import background, copy, read_from, start, write_all


def connect(o):
    transport = start(socket.create_connection((o.host, o.port)), o)
    transport.start_client(timeout=60)
    with open(o.known_host_key) as file:
        kind, known = file.read().split()[:2]
    shown = transport.get_remote_server_key()
    if (shown.get_name(), shown.get_base64()) != (kind, known):
        sys.exit("the host key is another one")
    if o.auth == "none":
        transport.auth_none(o.user)
    elif o.auth == "password":
        transport.auth_password(o.user, o.password, fallback=False)
    elif o.auth == "publickey":
        transport.auth_publickey(o.user, paramiko.PKey.from_path(o.key))
    else:
        transport.auth_interactive(o.user, lambda title, instructions, prompts: [o.password for _ in prompts])
    return transport


def open_channel(transport, command):
    channel = transport.open_session()
    channel.exec_command(command)
    return channel


def pass_input(channel):
    if copy(read_from(0), channel.sendall):
        channel.shutdown_write()


def pass_output(channel):
    errors = background(copy, channel.recv_stderr, write_all(2))
    copy(channel.recv, write_all(1))
    errors.join()
    status = channel.recv_exit_status()
    if status < 0:
        sys.exit("there was no exit status")
    return status


def main():
    o = options.parse()
    if o.rekey_bytes:
        # The library waits for ever when a channel's CLOSE comes while its own KEXINIT is under way.
        o.command = f"( {o.command} ); code=$?; sleep 1; exit $code"
    transport = connect(o)
    channels = [open_channel(transport, o.command) for _ in range(o.channels)]
    if o.channels == 1:
        background(pass_input, channels[0])
    else:
        for channel in channels:
            channel.shutdown_write()
    status = max(pass_output(channel) for channel in channels)
    transport.close()
    return status


try:
    code = main()
except (paramiko.SSHException, OSError, EOFError) as error:
    print(repr(error), file=sys.stderr)
    code = 255
# Not sys.exit: a thread may sit in a read of our input for ever.
sys.stderr.flush()
os._exit(code)
