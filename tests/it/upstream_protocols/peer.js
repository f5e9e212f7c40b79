// A backend in Node: HTTP/2 with prior knowledge, or TLS with HTTP/2 or HTTP/1.1 by ALPN.
// PEER_TLS is a folder with cert.pem and key.pem; PEER_ALPN names the protocol. The port that it
// took is the first line of its output.
'use strict';
const fs = require('fs');
const http2 = require('http2');
const https = require('https');
const { constants } = http2;

const state = { sessions: 0, open: 0, requests: 0, aborted: 0, resumed: 0, received: 0 };
let held = [];
let refused = false;
let died = false;
let busy = false;
let ill = false;

// The version of TLS, and the names in the certificate of the client.
function ofSocket(socket) {
  if (!process.env.PEER_TLS) return {};
  return { tls: socket.getProtocol(), client: socket.getPeerCertificate()?.subjectaltname ?? null };
}

function info(stream, headers) {
  return {
    ...state,
    authority: headers[':authority'] ?? headers.host,
    scheme: headers[':scheme'],
    path: headers[':path'],
    te: headers.te ?? null,
    names: Object.keys(headers),
    ...ofSocket(stream.session.socket),
    session: stream.session.number,
  };
}

const routes = {
  '/info': (stream, headers) => {
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    stream.end(JSON.stringify(info(stream, headers)));
  },
  '/hints': (stream, headers) => {
    stream.additionalHeaders({ ':status': 103, link: '</a.css>' });
    stream.additionalHeaders({ ':status': 102 });
    routes['/info'](stream, headers);
  },
  // The body and the trailers come back, as they come.
  '/echo': (stream) => {
    let trailers = {};
    stream.on('trailers', (got) => { trailers = got; });
    stream.on('wantTrailers', () => {
      const seen = Object.entries(trailers).map(([name, value]) => `${name}=${value}`);
      stream.sendTrailers({ 'grpc-status': '0', 'x-seen': seen.join(' ') });
    });
    // The proxy's own clients speak HTTP/1.1, and are sent the trailers that are announced.
    const fields = { ':status': 200, trailer: 'grpc-status, x-seen' };
    stream.respond(fields, { waitForTrailers: true });
    stream.on('data', (data) => { state.received += data.length; stream.write(data); });
    stream.on('end', () => stream.end());
  },
  // It serves until it was asked not to.
  '/grpc.health.v1.Health/Check': (stream) => {
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    const fields = { ':status': 200, 'content-type': 'application/grpc' };
    stream.respond(fields, { waitForTrailers: true });
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, ill ? 2 : 1]));
  },
  '/ill': (stream) => {
    ill = true;
    stream.respond({ ':status': 200 });
    stream.end();
  },
  '/trailers-only': (stream) => {
    const fields = { ':status': 200, 'grpc-status': '12', 'content-type': 'application/grpc' };
    stream.respond(fields, { endStream: true });
  },
  // Answers all when so many have come.
  '/hold': (stream, headers, count) => {
    held.push([stream, headers]);
    if (held.length < count) return;
    for (const [one, fields] of held) {
      one.respond({ ':status': 200 });
      one.end(JSON.stringify(info(one, fields)));
    }
    held = [];
  },
  // Says that it goes away, and ends its answer when a request has come on another connection.
  '/leave': (stream) => {
    stream.respond({ ':status': 200 });
    stream.write('begun ');
    stream.session.goaway(constants.NGHTTP2_NO_ERROR, stream.id);
    held.push([stream]);
  },
  '/finish': (stream, headers) => {
    stream.respond({ ':status': 200 });
    stream.end(JSON.stringify(info(stream, headers)));
    for (const [one] of held) one.end('and ended');
    held = [];
  },
  // A whole answer, and no interest in the rest of the request.
  '/early': (stream) => {
    stream.respond({ ':status': 413 });
    stream.end('too much', () => stream.close(constants.NGHTTP2_NO_ERROR));
  },
  '/refuse-once': (stream, headers) => {
    if (!refused) {
      refused = true;
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    routes['/info'](stream, headers);
  },
  '/busy-once': (stream, headers) => {
    if (!busy) {
      busy = true;
      stream.respond({ ':status': 503 });
      stream.end('busy');
      return;
    }
    routes['/info'](stream, headers);
  },
  '/die-once': (stream, headers) => {
    if (!died) {
      died = true;
      stream.session.destroy();
      return;
    }
    routes['/info'](stream, headers);
  },
  '/never': () => {},
  '/begin': (stream) => {
    stream.respond({ ':status': 200 });
    stream.write('begun');
  },
};

function onSession(session) {
  state.sessions += 1;
  state.open += 1;
  session.number = state.sessions;
  session.on('close', () => { state.open -= 1; });
  session.on('error', () => {});
  if (session.socket.isSessionReused?.()) state.resumed += 1;
}

function onStream(stream, headers) {
  state.requests += 1;
  stream.on('error', () => {});
  stream.on('aborted', () => { state.aborted += 1; });
  const [path, query] = headers[':path'].split('?');
  routes[path](stream, headers, Number(query));
}

const settings = { maxConcurrentStreams: Number(process.env.PEER_STREAMS ?? 1000) };
let server;
if (process.env.PEER_TLS) {
  const read = (name) => fs.readFileSync(`${process.env.PEER_TLS}/${name}.pem`);
  const options = { cert: read('cert'), key: read('key'), settings };
  if (process.env.PEER_CLIENTS) {
    Object.assign(options, { ca: read('clients'), requestCert: true, rejectUnauthorized: true });
  }
  options.maxVersion = process.env.PEER_TLS_MOST;
  server = process.env.PEER_ALPN === 'h2'
    ? http2.createSecureServer(options)
    : https.createServer({ ...options, ALPNProtocols: ['http/1.1'] });
  server.on('request', (request, response) => {
    if (request.httpVersion !== '1.1') return;
    const fields = { version: '1.1', te: request.headers.te ?? null, ...ofSocket(request.socket) };
    response.end(JSON.stringify({ ...state, ...fields }));
  });
} else {
  server = http2.createServer({ settings });
}
server.on('session', onSession);
server.on('stream', onStream);
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
// Leaves with the test that started it.
process.stdin.on('end', () => process.exit(0)).resume();
