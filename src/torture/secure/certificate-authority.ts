import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import {
  bitString,
  derValue,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  truth,
  utcTime,
  utf8String,
} from './der.js';

/** A certificate and its private key; PEM. */
export interface IssuedCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Longer than any run; the clocks of a machine agree, but a certificate of the same second is refused by some. */
const validMs = 365 * 24 * 3_600 * 1_000;
const validBeforeMs = 3_600 * 1_000;

/** As many as RFC 5280 allows, less one for the sign. */
const serialBytes = 19;

const identifiers = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/**
 * An authority that lives as long as this object, and signs certificates for this machine (RFC 5280, one form of it:
 * P-256 and SHA-256). Node makes keys and signatures, but no certificates. For runs that are over in hours: nothing is
 * ever withdrawn, and its own key is nowhere but in memory.
 */
export class CertificateAuthority {
  /** Its own certificate; PEM. */
  readonly ca: string;
  readonly #name: string;
  readonly #keys = newKeys();

  constructor(name: string) {
    this.#name = name;
    const extensions = [
      extension(identifiers.basicConstraints, sequence(truth), 'critical'),
      // keyCertSign is the sixth bit.
      extension(identifiers.keyUsage, bitString(Buffer.of(0b0000_0100), 2), 'critical'),
      extension(identifiers.subjectKeyIdentifier, octetString(keyIdentifier(this.#keys.publicKey))),
    ];
    this.ca = this.#sign(name, this.#keys.publicKey, extensions);
  }

  /**
   * A certificate for a server at 127.0.0.1, and for who shows it to others.
   *
   * @param oldKey the key of the certificate before, PEM, where only the certificate is to be another one
   */
  issue(name: string, oldKey?: string): IssuedCertificate {
    const { privateKey, publicKey } = oldKey === undefined ? newKeys() : keysOf(oldKey);
    const purposes = [identifiers.serverAuth, identifiers.clientAuth].map(objectIdentifier);
    const addresses = [
      derValue(0x87, Buffer.of(127, 0, 0, 1)),
      derValue(0x82, Buffer.from('localhost', 'latin1')),
    ];
    const authorityKey = derValue(0x80, keyIdentifier(this.#keys.publicKey));
    const extensions = [
      extension(identifiers.basicConstraints, sequence(), 'critical'),
      // digitalSignature is the first bit.
      extension(identifiers.keyUsage, bitString(Buffer.of(0b1000_0000), 7), 'critical'),
      extension(identifiers.extKeyUsage, sequence(...purposes)),
      extension(identifiers.subjectAltName, sequence(...addresses)),
      extension(identifiers.subjectKeyIdentifier, octetString(keyIdentifier(publicKey))),
      extension(identifiers.authorityKeyIdentifier, sequence(authorityKey)),
    ];
    return {
      cert: this.#sign(name, publicKey, extensions),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    };
  }

  #sign(subject: string, publicKey: KeyObject, extensions: readonly Buffer[]): string {
    const nowMs = Date.now();
    const algorithm = sequence(objectIdentifier(identifiers.ecdsaWithSha256));
    // The first bit makes a length of it that is always the same, and no zero.
    const serial = Buffer.concat([Buffer.of(0x40), randomBytes(serialBytes)]);
    const content = sequence(
      // Version 3.
      derValue(0xa0, integer(Buffer.of(2))),
      integer(serial),
      algorithm,
      distinguishedName(this.#name),
      sequence(utcTime(new Date(nowMs - validBeforeMs)), utcTime(new Date(nowMs + validMs))),
      distinguishedName(subject),
      publicKey.export({ type: 'spki', format: 'der' }),
      derValue(0xa3, sequence(...extensions)),
    );
    const signature = sign('sha256', content, this.#keys.privateKey);
    return pem(sequence(content, algorithm, bitString(signature)));
  }
}

interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function newKeys(): Keys {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

function keysOf(key: string): Keys {
  const privateKey = createPrivateKey(key);
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

/** Any number that differs from key to key will do (RFC 5280, section 4.2.1.2). */
function keyIdentifier(publicKey: KeyObject): Buffer {
  const bytes = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(bytes).digest().subarray(0, 20);
}

function distinguishedName(commonName: string): Buffer {
  const attribute = sequence(objectIdentifier(identifiers.commonName), utf8String(commonName));
  return sequence(set(attribute));
}

function extension(identifier: string, value: Buffer, weight?: 'critical'): Buffer {
  const parts = [objectIdentifier(identifier), ...(weight === undefined ? [] : [truth])];
  return sequence(...parts, octetString(value));
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
