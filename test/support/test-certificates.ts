import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** An authority of a test, made with openssl: Node cannot sign certificates. */
export class TestAuthority {
  readonly caPath: string;
  readonly #directory: string;
  readonly #name: string;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
    this.caPath = join(directory, `${name}.pem`);
    this.#openssl(
      'req',
      '-x509',
      ...this.#newKey(name),
      '-out',
      this.caPath,
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
    );
  }

  get ca(): string {
    return readFileSync(this.caPath, 'utf8');
  }

  /** A certificate for 127.0.0.1. */
  issue(
    name: string,
    subject = `/CN=${name}`,
  ): { certPath: string; keyPath: string; cert: string; key: string } {
    const path = (end: string): string => join(this.#directory, `${this.#name}-${name}.${end}`);
    const extensions = path('ext');
    writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    this.#openssl(
      'req',
      ...this.#newKey(`${this.#name}-${name}`),
      '-out',
      path('csr'),
      '-subj',
      subject,
    );
    this.#openssl(
      'x509',
      '-req',
      '-in',
      path('csr'),
      '-CA',
      this.caPath,
      '-CAkey',
      join(this.#directory, `${this.#name}.key`),
      '-CAcreateserial',
      '-out',
      path('pem'),
      '-days',
      '2',
      '-extfile',
      extensions,
    );
    const [certPath, keyPath] = [path('pem'), path('key')];
    return {
      certPath,
      keyPath,
      cert: readFileSync(certPath, 'utf8'),
      key: readFileSync(keyPath, 'utf8'),
    };
  }

  #newKey(name: string): string[] {
    return [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      join(this.#directory, `${name}.key`),
    ];
  }

  #openssl(...words: string[]): void {
    execFileSync('openssl', words, { stdio: 'pipe' });
  }
}
