import type { Socket } from 'node:net';
import { paths } from '../../protocol/http-api.js';
import type { AnswerText } from '../answer-text.js';
import { sendFileRange, writePiece } from '../file-range.js';
import { errorAnswer, logFailure, toChukchaError } from '../operations/error-answer.js';
import { headRoomBytes, type MessageRange, openRange, rangeHeaders } from '../operations/read.js';
import { microsecondsBetween, microsecondsNow } from '../request-time.js';
import { untilClosed } from '../route.js';
import type { ServerPorts } from '../server-ports.js';
import type { ReadExchange } from './exchange.js';

interface SendReadContext {
  readonly ports: ServerPorts;
  readonly answers: AnswerText;
}

/**
 * Answers a read on a socket; never rejects. An error after the head has gone breaks the connection, because
 * only that tells the client that the answer is not whole.
 *
 * @param closing asked when the head is made: whether the connection ends with this answer
 */
export async function sendRead(
  exchange: ReadExchange,
  socket: Socket,
  { ports, answers }: SendReadContext,
  closing: () => boolean,
): Promise<void> {
  let range: MessageRange | undefined;
  try {
    range = await openRangeFor(exchange, socket, ports);
    if (socket.destroyed) range.release();
    else {
      ports.counts.answered(paths.read, 200, takenBy(exchange, ports));
      await sendRange(range, answers.head(200, rangeHeaders(range), closing()), socket, ports);
    }
  } catch (thrown) {
    const error = toChukchaError(thrown);
    ports.counts.answered(paths.read, error.status, takenBy(exchange, ports));
    ports.counts.refused(error.code);
    logFailure(ports.log, paths.read, error);
    if (range !== undefined) {
      socket.destroy();
      return;
    }
    const { status, body, headers } = errorAnswer(error);
    socket.write(answers.json(status, body, headers, closing()), 'latin1');
  }
}

function takenBy({ begunAt }: ReadExchange, { clock }: ServerPorts): number {
  return microsecondsBetween(begunAt, microsecondsNow(clock));
}

/** Only a read that may wait has to hear that the client has gone. */
function openRangeFor(
  exchange: ReadExchange,
  socket: Socket,
  ports: ServerPorts,
): Promise<MessageRange> {
  const { call } = exchange;
  if (call.waitMs === 0) return openRange(call, ports, ports.stopping);
  const end = untilClosed(socket, ports.stopping);
  return openRange(call, ports, end.signal, exchange).finally(end.release);
}

async function sendRange(
  range: MessageRange,
  head: string,
  socket: Socket,
  { slabs }: ServerPorts,
): Promise<void> {
  const { content, offset, end } = range;
  let slabIsFree = true;
  try {
    if (content.kind === 'memory') {
      const from = headRoomBytes - head.length;
      content.slab.write(head, from, 'latin1');
      slabIsFree = await writePiece(
        socket,
        content.slab.subarray(from, headRoomBytes + end - offset),
      );
      return;
    }
    socket.write(head, 'latin1');
    if (content.kind === 'file') await sendFileRange(content.file, offset, end, socket, slabs);
  } finally {
    range.release(slabIsFree);
  }
}
