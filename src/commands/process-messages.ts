import type { Worker } from 'node:cluster'
import { z } from 'zod'

/** One metric of a process; prom-client gives it and takes it. */
const metricSchema = z.custom<object>((value) => typeof value === 'object' && value !== null)

/** What the processes of one `serve` say to each other, over the channel that Node gives them. */
const messageSchema = z.discriminatedUnion('kind', [
  /** The first process: end in order. */
  z.object({ kind: z.literal('stop') }),
  /** The first process: what are your numbers? */
  z.object({ kind: z.literal('metrics_wanted'), id: z.int() }),
  z.object({ kind: z.literal('metrics'), id: z.int(), metrics: z.array(metricSchema) }),
  /** A serving process: what are the numbers of all of us? */
  z.object({ kind: z.literal('sum_wanted'), id: z.int() }),
  z.object({ kind: z.literal('sum'), id: z.int(), text: z.string() }),
])
export type ProcessMessage = z.output<typeof messageSchema>

/** Undefined for anything that is not ours; debuggers and process managers use the channel too. */
export function readProcessMessage(message: unknown): ProcessMessage | undefined {
  return messageSchema.safeParse(message).data
}

/** Tells a process something. One that is just ending does not hear it; its end is heard instead. */
export function tellProcess(worker: Worker, message: ProcessMessage): void {
  if (worker.isConnected()) worker.send(message, () => undefined)
}
