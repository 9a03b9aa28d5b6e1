import { errorMessage } from '../../../protocol/chukcha-error.js';
import type { Finding } from './finding.js';

/** etcd answers in some ms; whoever needs longer than this is of no use for leases of some seconds. */
const answerMsMax = 3_000;

/** Whether each member of etcd can be reached from here, and says that it is well. */
export async function checkEtcd(hosts: readonly string[]): Promise<Finding[]> {
  return Promise.all(hosts.map((host) => checkHost(host)));
}

async function checkHost(host: string): Promise<Finding> {
  const about = 'etcd';
  try {
    const answer = await fetch(`${host}/health`, { signal: AbortSignal.timeout(answerMsMax) });
    const text = await answer.text();
    if (/"health"\s*:\s*"?true/.test(text)) {
      return { about, result: 'ok', detail: `${host} answers and is well.` };
    }
    const detail = `${host} answers, but is not well: ${text.slice(0, 200)}`;
    const fix = 'etcdctl endpoint status --cluster: most of its members have to run';
    return { about, result: 'failed', detail, fix };
  } catch (error) {
    const cause = (error as { readonly cause?: unknown }).cause ?? error;
    const detail = `No answer from ${host} (${errorMessage(cause)}).`;
    return { about, result: 'failed', detail, fix: 'start etcd, or name its members with --etcd' };
  }
}
