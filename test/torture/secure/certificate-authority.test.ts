import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import t from 'tap';
import { CertificateAuthority } from '../../../src/torture/secure/certificate-authority.js';
import { testDirectory } from '../../support/test-directory.js';

await t.test(
  'a certificate is signed by its authority, for this machine, and no authority',
  (t) => {
    const authority = new CertificateAuthority('any authority');
    const ca = new X509Certificate(authority.ca);
    const { cert } = authority.issue('node1');
    const certificate = new X509Certificate(cert);
    t.equal(certificate.subject, 'CN=node1');
    t.equal(certificate.issuer, 'CN=any authority');
    t.ok(certificate.checkIssued(ca));
    t.ok(certificate.verify(ca.publicKey));
    t.notOk(certificate.verify(certificate.publicKey));
    t.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1');
    t.equal(certificate.checkHost('localhost'), 'localhost');
    t.equal(certificate.checkIP('127.0.0.2'), undefined);
    t.equal(certificate.ca, false);
    t.equal(ca.ca, true);
    t.same(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    const other = new X509Certificate(new CertificateAuthority('any authority').ca);
    t.notOk(certificate.verify(other.publicKey), 'one of the same name has not signed it');
    t.end();
  },
);

await t.test('a renewed certificate is another one of the same key', (t) => {
  const authority = new CertificateAuthority('authority');
  const before = authority.issue('node1');
  const after = authority.issue('node1', before.key);
  const [old, renewed] = [new X509Certificate(before.cert), new X509Certificate(after.cert)];
  t.equal(after.key, before.key);
  t.not(renewed.serialNumber, old.serialNumber);
  t.same(renewed.publicKey, old.publicKey);
  t.end();
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const skip = hasOpenssl || process.env['CI'] ? false : 'there is no openssl on the PATH';

await t.test('openssl finds nothing to complain of, strictly', { skip }, (t) => {
  const directory = testDirectory(t);
  // The serial numbers and the signatures of some have a first bit that DER has to keep from being a sign.
  for (let round = 0; round < 8; round += 1) {
    const authority = new CertificateAuthority('authority');
    const [caPath, certPath] = [join(directory, 'ca.pem'), join(directory, 'node.pem')];
    writeFileSync(caPath, authority.ca);
    writeFileSync(certPath, authority.issue('node1').cert);
    for (const purpose of ['sslserver', 'sslclient']) {
      const words = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', caPath, certPath];
      const { status, stdout, stderr } = spawnSync('openssl', words, { encoding: 'utf8' });
      t.equal(status, 0, `${stdout}${stderr}`);
    }
  }
  t.end();
});

await t.test(
  'both sides of a connection take each other, and nobody of another authority',
  async (t) => {
    const authority = new CertificateAuthority('authority');
    const { ca } = authority;
    const server = createServer(
      { ...authority.issue('node1'), ca, requestCert: true, rejectUnauthorized: true },
      (socket) => socket.end('welcome'),
    );
    const refusals: string[] = [];
    server.on('tlsClientError', ({ message }) => refusals.push(message));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    const { port } = server.address() as AddressInfo;
    const ask = async (options: object): Promise<string> => {
      const socket: TLSSocket = connect({ host: '127.0.0.1', port, ...options });
      return Buffer.concat(await socket.toArray()).toString();
    };
    t.equal(await ask({ ca, ...authority.issue('writer') }), 'welcome');
    const stranger = new CertificateAuthority('authority');
    // How the end of it looks to who is refused depends on who is faster.
    const askInVain = (options: object): Promise<string> => ask(options).catch(() => '');
    t.equal(await askInVain({ ca, ...stranger.issue('writer') }), '', 'of another authority');
    t.equal(await askInVain({ ca }), '', 'without a certificate');
    t.equal(refusals.length, 2);
    await t.rejects(ask({ ca: stranger.ca, ...authority.issue('writer') }), /certificate/);
  },
);
