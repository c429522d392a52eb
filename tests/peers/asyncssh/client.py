"""A client on AsyncSSH: one command, on one channel or on several at once."""

import asyncio
import os
import sys

import asyncssh

import algorithms
import options

CHUNK = 65536
METHODS = {
    "none": {},
    "password": {"password_auth": True},
    "publickey": {"public_key_auth": True},
    "keyboard-interactive": {"kbdint_auth": True},
}


class Client(asyncssh.SSHClient):
    """Answers every prompt with the password."""

    def __init__(self, password):
        self.password = password

    def kbdint_auth_requested(self):
        return ""

    def kbdint_challenge_received(self, name, instructions, lang, prompts):
        return [self.password for _ in prompts]


async def connect(o):
    methods = {"password_auth": False, "public_key_auth": False, "kbdint_auth": False} | METHODS[o.auth]
    host_key = asyncssh.read_public_key(o.known_host_key)
    keys = {"server_host_key_algs": o.host_key_algorithms} if o.host_key_algorithms else {}
    return await asyncssh.connect(
        o.host, o.port, username=o.user, client_keys=[o.key] if o.key else None, known_hosts=([host_key], [], []),
        password=o.password if o.auth == "password" else None, client_factory=lambda: Client(o.password),
        config=None, agent_path=None, **methods, **keys, **algorithms.chosen(o))


async def pass_input(process):
    try:
        while data := await asyncio.to_thread(os.read, 0, CHUNK):
            process.stdin.write(data)
            await process.stdin.drain()
        process.stdin.write_eof()
    except (OSError, asyncssh.Error):
        pass  # the command ended without reading all of it


def write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data):]


async def pass_output(stream, descriptor):
    while data := await stream.read(CHUNK):
        write_all(descriptor, data)


def status(process):
    if process.exit_status is None or process.exit_status < 0:
        raise OSError(f"there was no exit status: {process.exit_signal}")
    return process.exit_status


async def run_one(connection, o):
    process = await connection.create_process(o.command, encoding=None)
    feeding = asyncio.create_task(pass_input(process))
    await asyncio.gather(pass_output(process.stdout, 1), pass_output(process.stderr, 2))
    await process.wait_closed()
    feeding.cancel()
    return status(process)


async def run_many(connection, o):
    """All channels are open before the first is read; the status is the greatest."""
    processes = [await connection.create_process(o.command, encoding=None) for _ in range(o.channels)]
    for process in processes:
        process.stdin.write_eof()
        write_all(1, await process.stdout.read())
        await process.wait_closed()
    return max(status(process) for process in processes)


async def main():
    o = options.parse()
    try:
        async with await connect(o) as connection:
            code = await (run_one if o.channels == 1 else run_many)(connection, o)
    except (asyncssh.Error, OSError) as error:
        print(error, file=sys.stderr)
        code = 255
    # Not a return: a thread may sit in a read of our input for ever.
    sys.stderr.flush()
    os._exit(code)


asyncio.run(main())
