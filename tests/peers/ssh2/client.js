// A client on npm's ssh2: one command, on one channel or on several at once.
'use strict';

const { readFileSync, writeSync } = require('fs');
const { parseArgs } = require('util');
const { Client, utils } = require('ssh2');

const text = { type: 'string' };
const { values: o, positionals: [command] } = parseArgs({
  allowPositionals: true,
  options: {
    host: text, port: text, user: text, password: text, auth: text, key: text, 'known-host-key': text, kex: text,
    'host-key-algorithms': text, ciphers: text, macs: text, compression: text, channels: text,
    'rekey-bytes': text,
  },
});
const channels = Number(o.channels || 1);
const rekeyBytes = Number(o['rekey-bytes'] || Infinity);

function fail(error) {
  console.error(error.message || error);
  process.exit(255);
}

function lists() {
  const given = { kex: o.kex, serverHostKey: o['host-key-algorithms'], cipher: o.ciphers, hmac: o.macs,
    compress: o.compression };
  return Object.fromEntries(
    Object.entries(given).filter(([, list]) => list).map(([name, list]) => [name, list.split(',')]));
}

// The one method, and nothing after it.
function login() {
  switch (o.auth) {
    case 'none': return { type: 'none', username: o.user };
    case 'password': return { type: 'password', username: o.user, password: o.password };
    case 'publickey': return { type: 'publickey', username: o.user, key: readFileSync(o.key) };
    case 'keyboard-interactive':
      return { type: 'keyboard-interactive', username: o.user,
        prompt: (name, instructions, lang, prompts, finish) => finish(prompts.map(() => o.password)) };
    default: return fail(`there is no method ${o.auth}`);
  }
}

function writeAll(fd, data) {
  for (let at = 0; at < data.length;) {
    try {
      at += writeSync(fd, data, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

// Calls back when the channel is open and runs the command; `ended` when it is closed, with status and output.
function start(client, opened, ended) {
  client.exec(command, (error, channel) => {
    if (error) fail(error);
    const output = [];
    let status;
    channel.on('data', (data) => (channels === 1 ? writeAll(1, data) : output.push(data)));
    channel.stderr.on('data', (data) => writeAll(2, data));
    channel.on('exit', (code) => { status = code; });
    channel.on('close', () => {
      if (typeof status !== 'number') fail('there was no exit status');
      ended(status, Buffer.concat(output));
    });
    opened(channel);
  });
}

// Only the library's servers have a call for new keys; its clients can do the same.
function rekeyInTraffic(client, channel) {
  let bytes = 0;
  channel.on('data', (data) => {
    bytes += data.length;
    if (bytes < rekeyBytes) return;
    bytes = 0;
    client._protocol.rekey();
  });
}

function runOne(client) {
  start(client, (channel) => {
    rekeyInTraffic(client, channel);
    process.stdin.pipe(channel, { end: false });
    // The end waits for the first new keys that were asked for, or all could be over before they are there.
    let left = rekeyBytes === Infinity ? 1 : 2;
    const end = () => { if (--left === 0) channel.end(); };
    process.stdin.on('end', end);
    client.once('handshake', end);
  }, (status) => {
    client.end();
    process.exit(status);
  });
}

// All channels are open at once; the outputs follow each other, the status is the greatest.
function runMany(client) {
  const outputs = [];
  let left = channels;
  let worst = 0;
  for (let i = 0; i < channels; i++) {
    start(client, (channel) => channel.end(), (status, output) => {
      outputs[i] = output;
      worst = Math.max(worst, status);
      if (--left > 0) return;
      writeAll(1, Buffer.concat(outputs));
      client.end();
      process.exit(worst);
    });
  }
}

const known = utils.parseKey(readFileSync(o['known-host-key']));
if (known instanceof Error) fail(known);
const client = new Client();
const attempts = [login()];
client.on('error', fail);
client.on('ready', () => (channels === 1 ? runOne : runMany)(client));
client.connect({
  host: o.host,
  port: Number(o.port),
  username: o.user,
  algorithms: lists(),
  authHandler: (left, partial, next) => next(attempts.shift() || false),
  hostVerifier: (key) => key.equals(known.getPublicSSH()),
});
