// An SMSC for the tests, on the npm package `smpp`: a peer that Seawall did not write.
//
// It prints one JSON object a line for everything it sees, and reads one a line from standard input:
//   {"mo": {"from": "...", "to": "...", "text": "..."}}   sends an inbound message
//   {"drop": true}                                        cuts every connection
// Arguments: --receipts yes|no, --password P. It listens on a free port and says which.
'use strict';
const smpp = require('smpp');
const readline = require('readline');

const args = process.argv.slice(2);
const option = (name, fallback) => (args.includes(name) ? args[args.indexOf(name) + 1] : fallback);
const receipts = option('--receipts', 'yes') === 'yes';
const password = option('--password', 'secret');
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');

let next = 1;
const receivers = new Set();

function stamp(date) {
  const two = (n) => String(n).padStart(2, '0');
  return `${two(date.getUTCFullYear() % 100)}${two(date.getUTCMonth() + 1)}${two(date.getUTCDate())}` +
    `${two(date.getUTCHours())}${two(date.getUTCMinutes())}`;
}

function receipt(session, pdu, id) {
  const now = stamp(new Date());
  session.deliver_sm({
    source_addr: pdu.destination_addr,
    destination_addr: pdu.source_addr,
    esm_class: 4,
    short_message: `id:${id} sub:001 dlvrd:001 submit date:${now} done date:${now} stat:DELIVRD err:000 text:`,
  });
}

const server = smpp.createServer((session) => {
  session.on('error', () => {});
  const bind = (mode) => (pdu) => {
    const good = pdu.password === password;
    say({ bind: mode, system_id: pdu.system_id, good });
    session.send(pdu.response({ command_status: good ? 0 : smpp.ESME_RINVPASWD, system_id: 'peer' }));
    if (good && mode !== 'transmitter') receivers.add(session);
  };
  session.on('bind_transceiver', bind('transceiver'));
  session.on('bind_transmitter', bind('transmitter'));
  session.on('bind_receiver', bind('receiver'));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { session.send(pdu.response()); session.close(); });
  session.on('close', () => receivers.delete(session));
  session.on('submit_sm', (pdu) => {
    const id = `peer-${next++}`;
    const body = pdu.message_payload || pdu.short_message;
    const text = typeof body === 'object' && body.message !== undefined ? body.message : body;
    const udh = pdu.short_message && pdu.short_message.udh;
    say({
      submit: id, to: pdu.destination_addr, from: pdu.source_addr, coding: pdu.data_coding, text: String(text),
      udh: udh ? udh.map((b) => (Buffer.isBuffer(b) ? b.toString('hex') : b)) : null,
      payload: Boolean(pdu.message_payload),
    });
    session.send(pdu.response({ message_id: id }));
    if (receipts && pdu.registered_delivery) setTimeout(() => {
      const to = receivers.has(session) ? session : [...receivers][0];
      if (to) receipt(to, pdu, id);
    }, 30);
  });
  session.on('deliver_sm_resp', (pdu) => say({ answered: pdu.command_status }));
});

server.listen(0, '127.0.0.1', () => say({ port: server.address().port }));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  for (const session of receivers) {
    if (order.drop) session.socket.destroy();
    if (order.mo) session.deliver_sm({ source_addr: order.mo.from, destination_addr: order.mo.to, short_message: order.mo.text });
    if (order.mo) break;
  }
}).on('close', () => process.exit(0));
