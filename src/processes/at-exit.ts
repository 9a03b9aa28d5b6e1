/** What is undone when this process ends, one after the other: a mount is used by processes, and a directory has mounts. */
const stages = ['processes', 'mounts', 'directories'] as const;

export type ExitStage = (typeof stages)[number];

const tasks = new Map<ExitStage, Set<() => void>>();

/** As shells tell an end by SIGHUP. */
const hangUpCode = 129;

/**
 * Has something undone when this process ends in the middle of its work: by `process.exit`, as at a second Ctrl-C, by an error
 * that nobody takes, or because its terminal is gone. Nothing can be waited for then, so the task does all of it at once, and
 * must not take long. Returns what makes it forgotten, for when it was done in good order.
 */
export function atExit(stage: ExitStage, task: () => void): () => void {
  if (tasks.size === 0) {
    process.once('exit', undoAll);
    // By itself that ends a process without another word.
    process.once('SIGHUP', () => process.exit(hangUpCode));
  }
  const ofStage = tasks.get(stage) ?? new Set();
  tasks.set(stage, ofStage);
  ofStage.add(task);
  return () => {
    ofStage.delete(task);
  };
}

function undoAll(): void {
  for (const stage of stages) {
    for (const task of tasks.get(stage) ?? []) {
      try {
        task();
      } catch {
        // The others have their turn all the same, and there is nobody left to tell.
      }
    }
  }
}
