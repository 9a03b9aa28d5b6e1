import type { NodeStatus } from '../../protocol/http-api.js';
import type { PipelineStatus } from '../../protocol/pipeline-report.js';

/** The pipelines that several nodes know, each as it has reported last; in the order in which nodes show them. */
export function mergePipelines(
  statuses: readonly Pick<NodeStatus, 'pipelines'>[],
): PipelineStatus[] {
  const merged = new Map<string, PipelineStatus>();
  for (const pipeline of statuses.flatMap(({ pipelines }) => pipelines)) {
    const key = `${pipeline.kind}/${pipeline.name}/${pipeline.category}`;
    const known = merged.get(key);
    if (known === undefined || pipeline.reportedSecondsAgo < known.reportedSecondsAgo) {
      merged.set(key, pipeline);
    }
  }
  return [...merged].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, each]) => each);
}
