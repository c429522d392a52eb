"""A server on Paramiko: one user, commands with /bin/sh."""

import os
import signal
import socket
import subprocess
import sys

import paramiko

import options
from transport import background, copy, read_from, start


class Server(paramiko.ServerInterface):
    def __init__(self, o, allowed):
        self.o = o
        self.allowed = allowed
        self.user = None

    def decide(self, username, right):
        return paramiko.AUTH_SUCCESSFUL if username == self.o.user and right else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "password,publickey,keyboard-interactive"

    def check_auth_password(self, username, password):
        return self.decide(username, password == self.o.password)

    def check_auth_publickey(self, username, key):
        return self.decide(username, key.get_base64() == self.allowed)

    def check_auth_interactive(self, username, submethods):
        self.user = username
        return paramiko.InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses):
        return self.decide(self.user, responses == [self.o.password])

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel, command):
        background(execute, channel, command)
        return True


def pass_input(channel, pipe):
    copy(channel.recv, lambda data: pipe.write(data))
    try:
        pipe.close()
    except OSError:
        pass  # the command ended without reading it


def execute(channel, command):
    child = subprocess.Popen(["/bin/sh", "-c", command], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    background(pass_input, channel, child.stdin)
    errors = background(copy, read_from(child.stderr.fileno()), channel.sendall_stderr)
    copy(read_from(child.stdout.fileno()), channel.sendall)
    errors.join()
    code = child.wait()
    channel.send_exit_status(code if code >= 0 else 255)
    channel.shutdown_write()
    channel.close()
    child.stdout.close()
    child.stderr.close()


def serve(link, o, host_key, allowed):
    try:
        transport = start(link, o)
        transport.add_server_key(host_key)
        transport.start_server(server=Server(o, allowed))
        transport.join()
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        print(repr(error), file=sys.stderr, flush=True)
        link.close()


def main():
    o = options.parse()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    paramiko.Transport.load_server_moduli()
    paramiko.util.log_to_file("/dev/stderr", "WARNING")
    host_key = paramiko.PKey.from_path(o.hostkey)
    with open(o.authorized_key) as file:
        allowed = file.read().split()[1]
    with socket.create_server(("127.0.0.1", o.port)) as listener:
        print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            background(serve, listener.accept()[0], o, host_key, allowed)


main()
