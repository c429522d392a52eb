"""A server on AsyncSSH: one user, commands with /bin/sh."""

import asyncio
import signal
import sys

import asyncssh

import algorithms
import options

CHUNK = 65536


class Server(asyncssh.SSHServer):
    def __init__(self, o, allowed):
        self.o = o
        self.allowed = allowed

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return username == self.o.user and password == self.o.password

    def public_key_auth_supported(self):
        return True

    def validate_public_key(self, username, key):
        return username == self.o.user and key.public_data == self.allowed.public_data

    def kbdint_auth_supported(self):
        return True

    def get_kbdint_challenge(self, username, lang, submethods):
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username, responses):
        return username == self.o.user and responses == [self.o.password]

    def connection_lost(self, error):
        if error:
            print(error, file=sys.stderr, flush=True)


async def pass_input(process, pipe):
    try:
        while data := await process.stdin.read(CHUNK):
            pipe.write(data)
            await pipe.drain()
    except (OSError, asyncssh.Error):
        pass  # the command, or the client, has ended
    pipe.close()


async def pass_output(pipe, stream):
    while data := await pipe.read(CHUNK):
        stream.write(data)
        await stream.drain()


async def serve(process):
    pipes = {name: asyncio.subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    child = await asyncio.create_subprocess_exec("/bin/sh", "-c", process.command or "", **pipes)
    feeding = asyncio.create_task(pass_input(process, child.stdin))
    try:
        await asyncio.gather(pass_output(child.stdout, process.stdout), pass_output(child.stderr, process.stderr))
        code = await child.wait()
        process.exit(code if code >= 0 else 255)
    finally:
        feeding.cancel()


async def main():
    o = options.parse()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    allowed = asyncssh.read_public_key(o.authorized_key)
    acceptor = await asyncssh.listen(
        "127.0.0.1", o.port, server_host_keys=[o.hostkey], server_factory=lambda: Server(o, allowed),
        process_factory=serve, encoding=None, line_editor=False, **algorithms.chosen(o))
    print(f"listening on 127.0.0.1:{acceptor.get_port()}", flush=True)
    await stop.wait()


asyncio.run(main())
