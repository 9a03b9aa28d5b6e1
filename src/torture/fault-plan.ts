import type { SeededRandom } from '../common/seeded-random.js';
import type { Cut } from './network.js';

/** What can be done to a cluster. How often each comes is the number of times that it is in the deck. */
const faultKinds = {
  kill: { deck: 4, summary: 'a node killed with -9 and started again', secondsMax: 4 },
  'kill all': { deck: 1, summary: 'all nodes killed at one time and started again', secondsMax: 2 },
  restart: {
    deck: 2,
    summary: 'a node stopped as its owner stops it and started again',
    secondsMax: 3,
  },
  freeze: { deck: 3, summary: 'a node frozen with SIGSTOP', secondsMax: 9 },
  cut: { deck: 4, summary: 'a node cut off from the others, both ways or one way', secondsMax: 9 },
  'cut pair': { deck: 2, summary: 'two nodes cut off from each other', secondsMax: 9 },
  slow: { deck: 2, summary: 'everything late between a node and the others', secondsMax: 6 },
  'cut etcd': { deck: 1, summary: 'a node cut off from etcd', secondsMax: 15 },
  isolate: { deck: 1, summary: 'a node cut off from the others and from etcd', secondsMax: 9 },
  'kill etcd': { deck: 1, summary: 'etcd killed and started again', secondsMax: 8 },
  'freeze etcd': { deck: 1, summary: 'etcd frozen with SIGSTOP', secondsMax: 15 },
  'fill disk': { deck: 2, summary: 'the disk of a node full', secondsMax: 8 },
} as const;

/** What an owner does in the middle of it, where nodes ask who calls them. Each is over when it has its effect. */
const secureKinds = {
  'rotate tokens': {
    deck: 2,
    summary: 'all tokens replaced by new ones, and the old ones withdrawn',
    secondsMax: 15,
  },
  'renew certificate': { deck: 2, summary: 'a node given a new certificate', secondsMax: 5 },
} as const;

const everyKind = { ...faultKinds, ...secureKinds } as const;

export type FaultKind = keyof typeof everyKind;

/** What is done to a cluster; a secure one has more that can be done to it. */
export function faultNames(isSecure: boolean): readonly FaultKind[] {
  return Object.keys(isSecure ? everyKind : faultKinds) as FaultKind[];
}

/** Whether it has no end that is planned. */
export function isMomentary(kind: FaultKind): boolean {
  return kind in secureKinds;
}

/** What the kind does, for people. */
export function describeFault(kind: FaultKind): string {
  return everyKind[kind].summary;
}

/** One thing that goes wrong, and for how long. */
export interface PlannedFault {
  readonly kind: FaultKind;
  readonly startMs: number;
  readonly endMs: number;
  /** The node that it is about, and another one; those of etcd and of all nodes need none. */
  readonly node: string;
  readonly other: string;
  readonly cut: Cut;
  readonly delayMs: number;
  /** How much is left free on the disk that is filled. */
  readonly leftBytes: number;
}

export interface PlanOptions {
  readonly nodeNames: readonly string[];
  /** The one with the small disk. */
  readonly smallDiskNode: string;
  readonly seconds: number;
  readonly isSecure: boolean;
}

/** Something happens after this time at the latest, and not before. */
const gapMs = { min: 500, max: 3_500 };

/** The shortest fault, so that also what passes at once is tried. */
const faultMsMin = 300;

/** How long what a fault was about is left alone: as long as a node takes to start. */
const restMs = 1_500;

/** How late a slow network is. */
const delayMs = { min: 5, max: 200 };

const cuts: readonly Cut[] = ['refuse', 'hold both ways', 'hold what comes', 'hold what goes'];

/** Nothing at all, less than the reserve of the node, and as good as nothing for its next batch. */
const leftBytesChoices = [0, 0, 64 * 1024, 1024 * 1024] as const;

/**
 * Draws what goes wrong and when. Kinds come from a deck that is shuffled anew when it is empty, so that each has
 * its turn also in a short run. Faults overlap, but no two are about the same process, disk or network.
 */
export function planFaults(
  random: SeededRandom,
  { nodeNames, smallDiskNode, seconds, isSecure }: PlanOptions,
): PlannedFault[] {
  const faults: PlannedFault[] = [];
  const freeAtMs = new Map<string, number>();
  const full = faultNames(isSecure).flatMap((kind) =>
    Array<FaultKind>(everyKind[kind].deck).fill(kind),
  );
  let deck: FaultKind[] = [];
  const untilMs = seconds * 1_000;
  for (let nowMs = gapMs.max; ; nowMs += random.integer(gapMs.min, gapMs.max)) {
    if (nowMs > untilMs - gapMs.max) return faults;
    if (deck.length === 0) deck = random.shuffle(full);
    const isFree = (resource: string): boolean => (freeAtMs.get(resource) ?? 0) <= nowMs;
    const shuffled = random.shuffle(nodeNames);
    const at = deck.findIndex(
      (kind) => nodeFor(kind, shuffled, smallDiskNode, nodeNames, isFree) !== undefined,
    );
    const [kind] = at === -1 ? [] : deck.splice(at, 1);
    if (kind === undefined) continue;
    const node = nodeFor(kind, shuffled, smallDiskNode, nodeNames, isFree) ?? '';
    const lengthMs = random.integer(faultMsMin, everyKind[kind].secondsMax * 1_000);
    const endMs = Math.min(nowMs + lengthMs, untilMs);
    for (const resource of resourcesOf(kind, node, nodeNames))
      freeAtMs.set(resource, endMs + restMs);
    faults.push({
      kind,
      startMs: nowMs,
      endMs,
      node,
      other: shuffled.find((name) => name !== node) ?? '',
      cut: random.pick(cuts),
      delayMs: random.integer(delayMs.min, delayMs.max),
      leftBytes: random.pick(leftBytesChoices),
    });
  }
}

/** The first node that the fault may be about now. */
function nodeFor(
  kind: FaultKind,
  shuffled: readonly string[],
  smallDiskNode: string,
  nodeNames: readonly string[],
  isFree: (resource: string) => boolean,
): string | undefined {
  const candidates = kind === 'fill disk' ? [smallDiskNode] : shuffled;
  return candidates.find((node) => resourcesOf(kind, node, nodeNames).every(isFree));
}

function resourcesOf(kind: FaultKind, node: string, nodeNames: readonly string[]): string[] {
  switch (kind) {
    case 'kill':
    case 'restart':
    case 'freeze':
      return [`process ${node}`];
    case 'kill all':
      return nodeNames.map((name) => `process ${name}`);
    case 'cut':
    case 'cut pair':
    case 'slow':
      return ['network'];
    case 'cut etcd':
      return [`etcd of ${node}`];
    case 'isolate':
      return ['network', `etcd of ${node}`];
    case 'kill etcd':
    case 'freeze etcd':
      return ['etcd'];
    case 'fill disk':
      return [`disk ${node}`];
    case 'rotate tokens':
      return ['tokens'];
    case 'renew certificate':
      return [`certificate of ${node}`];
  }
}
