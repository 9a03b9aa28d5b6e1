import { STATUS_CODES } from 'node:http';
import { keepAliveMs } from '../protocol/limits.js';

/** The heads of answers, as the HTTP server writes them; all in ASCII. */
export class AnswerText {
  #date = '';

  /** Sets the time that answers carry; once a second is enough for a date in seconds. */
  setTime(wallMs: number): void {
    this.#date = new Date(wallMs).toUTCString();
  }

  /** The head of an answer, with the empty line. */
  head(
    status: number,
    fields: Readonly<Record<string, string | number>>,
    closing: boolean,
  ): string {
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
    for (const name in fields) text += `${name}: ${fields[name]}\r\n`;
    const connection = closing
      ? 'Connection: close\r\n'
      : `Connection: keep-alive\r\nKeep-Alive: timeout=${keepAliveMs / 1000}\r\n`;
    return `${text}Date: ${this.#date}\r\n${connection}\r\n`;
  }

  /** A whole answer in JSON. */
  json(
    status: number,
    body: string,
    fields: Readonly<Record<string, string>> | undefined,
    closing: boolean,
  ): string {
    const head = this.head(
      status,
      { 'Content-Type': 'application/json', 'Content-Length': body.length, ...fields },
      closing,
    );
    return head + body;
  }
}
